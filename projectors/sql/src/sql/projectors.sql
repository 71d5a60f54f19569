-- The names of all projectors that were applied to this database: the schemas of their live read models.
SELECT n.nspname::text
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relname = 'projector_definition'
   AND c.relkind = 'r'
   AND n.nspname !~ '_g[0-9]+$'
   AND has_schema_privilege(n.oid, 'USAGE')
   AND has_table_privilege(c.oid, 'SELECT')
 ORDER BY 1
