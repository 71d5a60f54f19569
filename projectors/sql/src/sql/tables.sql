-- The tables of this schema that tables.sql has made.
SELECT c.relname::text
  FROM pg_class AS c
 WHERE c.relnamespace = current_schema::regnamespace
   AND c.relkind IN ('r', 'p')
   AND NOT c.relispartition
   AND NOT :of_platform
 ORDER BY 1
