-- The schemas that are read models: each has the function has_applied
SELECT n.nspname::text FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE p.proname = 'has_applied' AND has_schema_privilege(n.oid, 'USAGE') ORDER BY 1
