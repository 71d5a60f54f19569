-- $1 live schema, $2 new schema: the columns of the tables that a projector fills, by table, in the order of the new
-- build; with the primary key of its table
WITH found AS (
    SELECT c.relname::text AS "table", a.attname::text AS "column", a.attnum, n.nspname = $1 AS is_live, a.atttypid,
           (SELECT array_agg(k.attname::text ORDER BY p.place)
              FROM pg_index AS i
             CROSS JOIN unnest(i.indkey::smallint[]) WITH ORDINALITY AS p (number, place)
              JOIN pg_attribute AS k ON k.attrelid = c.oid AND k.attnum = p.number
             WHERE i.indrelid = c.oid AND i.indisprimary) AS key
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname IN ($1, $2)
       AND c.relkind IN ('r', 'p')
       AND NOT c.relispartition
       AND c.relname NOT IN ('checkpoints', 'fingerprints', 'refinery_schema_history')
       AND NOT starts_with(c.relname, 'projector_')
)
SELECT "table", "column",
       bool_or(is_live) AS in_live,
       bool_or(NOT is_live) AS in_new,
       -- of two types, or of one without equality, values are compared as texts
       min(atttypid) = max(atttypid)
       AND bool_and(atttypid <> ALL (ARRAY['json', 'xml', 'point', 'box', 'line', 'lseg', 'path', 'polygon', 'circle',
                                           'jsonpath', 'json[]', 'xml[]', 'point[]', 'txid_snapshot',
                                           'pg_snapshot']::regtype[]::oid[])) AS has_equality,
       -- a key that both builds have
       (SELECT f.key FROM found AS f JOIN found AS o USING ("table")
         WHERE f."table" = found."table" AND f.is_live AND NOT o.is_live AND f.key = o.key LIMIT 1) AS key
  FROM found
 GROUP BY "table", "column"
 ORDER BY "table", max(attnum) FILTER (WHERE NOT is_live), "column"
