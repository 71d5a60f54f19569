-- $1 account_ids text[], ascending, $2 currencies text[], $3 changes_minor text[] (whole numbers), $4 entries bigint[],
-- $5 last_posted_at timestamptz[]
INSERT INTO account_balances AS standing (account_id, currency, balance_minor, entries, last_posted_at)
SELECT account_id, currency, change_minor::bigint, entries, last_posted_at
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[])
       AS change (account_id, currency, change_minor, entries, last_posted_at)
ON CONFLICT (account_id) DO UPDATE
   SET balance_minor  = standing.balance_minor + EXCLUDED.balance_minor,
       entries        = standing.entries + EXCLUDED.entries,
       last_posted_at = greatest(standing.last_posted_at, EXCLUDED.last_posted_at)
