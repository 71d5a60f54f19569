-- $1 name of the function in this schema that has the statement as its body
-- The tables that the statement uses and that tables.sql has not made: of other schemas, or the platform's.
SELECT DISTINCT n.nspname::text, c.relname::text
  FROM pg_depend AS d
  JOIN pg_class AS c ON c.oid = d.refobjid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE d.classid = 'pg_proc'::regclass
   AND d.objid = $1::text::regproc
   AND d.refclassid = 'pg_class'::regclass
   AND (n.nspname <> current_schema OR :of_platform)
 ORDER BY 1, 2
