-- $1 live schema, $2 schema of the new build: what somebody has added to the live one that a switch would leave behind
SELECT format('%s %I', CASE c.relkind WHEN 'm' THEN 'the materialized view' ELSE 'the foreign table' END, c.relname)
  FROM pg_class AS c
 WHERE c.relnamespace = $1::text::regnamespace
   AND c.relkind IN ('m', 'f')
   AND NOT EXISTS (SELECT FROM pg_class AS o WHERE o.relname = c.relname AND o.relnamespace = $2::text::regnamespace)
UNION ALL
SELECT format('the row security of %I', c.relname)
  FROM pg_class AS c
 WHERE c.relnamespace = $1::text::regnamespace
   AND c.relrowsecurity
   AND NOT EXISTS (SELECT FROM pg_class AS o
                    WHERE o.relname = c.relname AND o.relnamespace = $2::text::regnamespace AND o.relrowsecurity)
UNION ALL
SELECT format('the trigger %I of %I', t.tgname, c.relname)
  FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
 WHERE c.relnamespace = $1::text::regnamespace
   AND NOT t.tgisinternal
   AND NOT EXISTS (SELECT FROM pg_trigger AS u JOIN pg_class AS o ON o.oid = u.tgrelid
                    WHERE u.tgname = t.tgname AND o.relname = c.relname AND o.relnamespace = $2::text::regnamespace)
