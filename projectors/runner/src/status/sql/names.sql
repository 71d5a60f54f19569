-- The schemas that are read models: each has the function has_applied
SELECT n.nspname::text FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE p.proname = 'has_applied' ORDER BY 1
