-- $1 schema: what stands outside of it and uses something in it, other than as a view or a function in SQL does; and what
-- somebody has added to it that Postgres can't bind to other tables
WITH inside AS (
    SELECT 'pg_class'::regclass AS classid, oid FROM pg_class WHERE relnamespace = $1::text::regnamespace
    UNION ALL
    SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace = $1::text::regnamespace
    UNION ALL
    SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = $1::text::regnamespace
)
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid),
       coalesce(v.relkind = 'v', false) OR coalesce(p.prosqlbody IS NOT NULL, false) AS can_be_bound
  FROM pg_depend AS d
  JOIN inside AS i ON i.classid = d.refclassid AND i.oid = d.refobjid
  LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  LEFT JOIN pg_class AS v ON v.oid = r.ev_class
  LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
  LEFT JOIN pg_attrdef AS a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
  LEFT JOIN pg_trigger AS t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
  LEFT JOIN pg_policy AS l ON d.classid = 'pg_policy'::regclass AND l.oid = d.objid
  LEFT JOIN pg_class AS c
    ON c.oid = coalesce(a.adrelid, t.tgrelid, l.polrelid, CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid END)
  LEFT JOIN pg_type AS y ON d.classid = 'pg_type'::regclass AND y.oid = d.objid
  LEFT JOIN pg_constraint AS k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
 WHERE coalesce(v.relnamespace, p.pronamespace, c.relnamespace, y.typnamespace, k.connamespace)
       <> $1::text::regnamespace
   AND coalesce(c.relkind, 'r') <> 't'
   -- an index or a constraint of an outside table comes with it
   AND d.deptype IN ('n', 'a')
 ORDER BY 1
