-- $1 schema: the tables that a reset empties, quoted. Those named projector_… say how the projector is to run.
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND c.relname <> 'refinery_schema_history'
   AND (NOT starts_with(c.relname, 'projector_') OR c.relname = 'projector_stops')
 ORDER BY 1
