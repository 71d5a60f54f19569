-- $1 account_ids text[], ascending, $2 changes_minor bigint[], $3 entries bigint[]
INSERT INTO ceiling.account_balances AS standing (account_id, currency, balance_minor, entries, last_posted_at)
SELECT account_id, 'EUR', change_minor, entries, now()
  FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS change (account_id, change_minor, entries)
ON CONFLICT (account_id) DO UPDATE
   SET balance_minor  = standing.balance_minor + EXCLUDED.balance_minor,
       entries        = standing.entries + EXCLUDED.entries,
       last_posted_at = greatest(standing.last_posted_at, EXCLUDED.last_posted_at)
