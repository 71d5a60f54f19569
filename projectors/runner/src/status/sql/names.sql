-- The schemas that are live read models: each has the function has_applied; those of other builds have names of their own
SELECT n.nspname::text FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE p.proname = 'has_applied' AND n.nspname !~ '_g[0-9]+$' AND has_schema_privilege(n.oid, 'USAGE') ORDER BY 1
