-- $1 a parsed tree, $2 functions of pg_catalog that say another thing each time although they are only STABLE
-- The functions in the tree whose result is not made of their arguments alone: volatile ones, and these.
WITH called AS (
    SELECT DISTINCT found[1]::oid AS oid
      FROM regexp_matches($1, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') AS found
)
SELECT p.proname::text, n.nspname = 'pg_catalog' AS is_built_in
  FROM called
  JOIN pg_proc AS p USING (oid)
  JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE p.provolatile = 'v' OR (n.nspname = 'pg_catalog' AND p.proname = ANY ($2::text[]))
UNION ALL
-- the order of SQLValueFunctionOp in Postgres' primnodes.h
SELECT (ARRAY['current_date', 'current_time', 'current_time', 'current_timestamp', 'current_timestamp', 'localtime',
              'localtime', 'localtimestamp', 'localtimestamp', 'current_role', 'current_user', 'user', 'session_user',
              'current_catalog', 'current_schema'])[1 + found[1]::integer],
       true
  FROM regexp_matches($1, 'SQLVALUEFUNCTION :op (\d+)', 'g') AS found
 ORDER BY 1
