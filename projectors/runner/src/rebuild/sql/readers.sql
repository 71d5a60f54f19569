-- $1 live schema, $2 schema of the new build: views and functions that use objects of the live schema, and that the new
-- build does not have itself; each with the statement that makes it again. Views that others use come first.
WITH uses AS (
    SELECT d.classid, d.objid
      FROM pg_depend AS d
      LEFT JOIN pg_class AS t ON d.refclassid = 'pg_class'::regclass AND t.oid = d.refobjid
      LEFT JOIN pg_proc AS f ON d.refclassid = 'pg_proc'::regclass AND f.oid = d.refobjid
      LEFT JOIN pg_type AS y ON d.refclassid = 'pg_type'::regclass AND y.oid = d.refobjid
     WHERE coalesce(t.relnamespace, f.pronamespace, y.typnamespace) = $1::text::regnamespace
), views AS (
    SELECT DISTINCT v.oid
      FROM uses AS u
      JOIN pg_rewrite AS r ON u.classid = 'pg_rewrite'::regclass AND r.oid = u.objid
      JOIN pg_class AS v ON v.oid = r.ev_class AND v.relkind = 'v'
     WHERE NOT EXISTS (SELECT FROM pg_class AS o
                        WHERE v.relnamespace = $1::text::regnamespace
                          AND o.relname = v.relname AND o.relnamespace = $2::text::regnamespace)
), functions AS (
    SELECT DISTINCT p.oid
      FROM uses AS u
      JOIN pg_proc AS p ON u.classid = 'pg_proc'::regclass AND p.oid = u.objid
     WHERE NOT EXISTS (SELECT FROM pg_proc AS o
                        WHERE p.pronamespace = $1::text::regnamespace
                          AND o.proname = p.proname AND o.pronamespace = $2::text::regnamespace)
)
SELECT format('%I.%I', n.nspname, v.relname),
       format('CREATE OR REPLACE VIEW %I.%I %s AS %s', n.nspname, v.relname,
              coalesce('WITH (' || array_to_string(v.reloptions, ', ') || ')', ''), pg_get_viewdef(v.oid)),
       v.oid
  FROM views JOIN pg_class AS v USING (oid) JOIN pg_namespace AS n ON n.oid = v.relnamespace
UNION ALL
SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid), p.oid
  FROM functions JOIN pg_proc AS p USING (oid)
 ORDER BY 3
