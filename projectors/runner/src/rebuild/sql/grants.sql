-- $1 schema, $2 another one: the statements that grant on the second what is granted on the first
WITH objects AS (
    SELECT 'SCHEMA' AS kind, format('%I', $2::text) AS target, NULL::text AS columns, n.nspacl AS acl
      FROM pg_namespace AS n
     WHERE n.nspname = $1
    UNION ALL
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, format('%I.%I', $2::text, c.relname), NULL, c.relacl
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1
       AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
       AND EXISTS (SELECT FROM pg_class AS o WHERE o.relname = c.relname AND o.relnamespace = $2::text::regnamespace)
    UNION ALL
    SELECT 'TABLE', format('%I.%I', $2::text, c.relname), format(' (%I)', a.attname), a.attacl
      FROM pg_attribute AS a
      JOIN pg_class AS c ON c.oid = a.attrelid
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1
       AND a.attacl IS NOT NULL
       AND EXISTS (SELECT FROM pg_class AS o JOIN pg_attribute AS b ON b.attrelid = o.oid
                    WHERE o.relname = c.relname AND o.relnamespace = $2::text::regnamespace AND b.attname = a.attname)
    UNION ALL
    SELECT 'FUNCTION', format('%I.%I(%s)', $2::text, p.proname, pg_get_function_identity_arguments(p.oid)), NULL, p.proacl
      FROM pg_proc AS p
      JOIN pg_namespace AS n ON n.oid = p.pronamespace
     WHERE n.nspname = $1
       AND EXISTS (SELECT FROM pg_proc AS o
                    WHERE o.proname = p.proname AND o.pronamespace = $2::text::regnamespace
                      AND pg_get_function_identity_arguments(o.oid) = pg_get_function_identity_arguments(p.oid))
)
SELECT format('GRANT %s%s ON %s %s TO %s%s', e.privilege_type, columns, kind, target,
              CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE e.grantee::regrole::text END,
              CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM objects CROSS JOIN aclexplode(acl) AS e
 WHERE e.grantee <> e.grantor
 ORDER BY 1
