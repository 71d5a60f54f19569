-- The tables of this schema that tables.sql has made.
SELECT c.relname::text
  FROM pg_class AS c
 WHERE c.relnamespace = current_schema::regnamespace
   AND c.relkind IN ('r', 'p')
   AND NOT c.relispartition
   AND c.relname NOT IN ('checkpoints', 'fingerprints') AND NOT starts_with(c.relname, 'projector_')
 ORDER BY 1
