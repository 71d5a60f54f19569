-- The tables of this schema whose names are kept for the platform.
SELECT c.relname::text
  FROM pg_class AS c
 WHERE c.relnamespace = current_schema::regnamespace
   AND c.relkind IN ('r', 'p')
   AND starts_with(c.relname, 'projector_')
 ORDER BY 1
