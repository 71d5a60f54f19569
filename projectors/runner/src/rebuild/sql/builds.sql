-- $1 projector: the schemas that may hold a build of its read model
SELECT n.nspname::text
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relname = 'projector_generation' AND c.relkind = 'r' AND starts_with(n.nspname, $1)
