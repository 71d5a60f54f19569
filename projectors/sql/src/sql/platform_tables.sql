-- The tables of this schema that are the platform's, or have names that are kept for it: each with its identity.
SELECT c.relname::text, c.oid
  FROM pg_class AS c
 WHERE c.relnamespace = current_schema::regnamespace
   AND c.relkind IN ('r', 'p')
   AND :of_platform
 ORDER BY 1
