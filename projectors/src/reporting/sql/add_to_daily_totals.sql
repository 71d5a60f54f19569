-- $1 days date[], $2 currencies text[], ascending by day and currency, $3 credits_minor text[], $4 debits_minor text[]
-- (whole numbers), $5 entries bigint[]
INSERT INTO daily_totals AS standing (day, currency, credits_minor, debits_minor, entries)
SELECT day, currency, credits_minor::numeric, debits_minor::numeric, entries
  FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::bigint[])
       AS change (day, currency, credits_minor, debits_minor, entries)
ON CONFLICT (day, currency) DO UPDATE
   SET credits_minor = standing.credits_minor + EXCLUDED.credits_minor,
       debits_minor  = standing.debits_minor + EXCLUDED.debits_minor,
       entries       = standing.entries + EXCLUDED.entries
