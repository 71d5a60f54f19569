-- Triggers and rules of this schema's tables, by name, each with its table.
SELECT t.tgname::text, c.relname::text
  FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
 WHERE c.relnamespace = current_schema::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT r.rulename::text, c.relname::text
  FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
 WHERE c.relnamespace = current_schema::regnamespace AND c.relkind IN ('r', 'p')
 ORDER BY 1, 2
