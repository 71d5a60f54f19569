-- $1 live schema: materialized views and foreign keys outside of it that use its tables
SELECT DISTINCT format('the materialized view %I.%I', n.nspname, v.relname)
  FROM pg_depend AS d
  JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  JOIN pg_class AS v ON v.oid = r.ev_class AND v.relkind = 'm'
  JOIN pg_namespace AS n ON n.oid = v.relnamespace
  JOIN pg_class AS t ON d.refclassid = 'pg_class'::regclass AND t.oid = d.refobjid
 WHERE t.relnamespace = $1::text::regnamespace AND n.nspname <> $1
UNION ALL
SELECT format('the foreign key %I of %s', k.conname, k.conrelid::regclass)
  FROM pg_constraint AS k
  JOIN pg_class AS t ON t.oid = k.confrelid
  JOIN pg_class AS o ON o.oid = k.conrelid
 WHERE k.contype = 'f' AND t.relnamespace = $1::text::regnamespace AND o.relnamespace <> t.relnamespace
