-- The schemas that have a log's tables.
SELECT n.nspname::text
  FROM pg_namespace AS n
  JOIN pg_class AS c ON c.relnamespace = n.oid
 WHERE c.relname IN ('log', 'schemas', 'events', 'commands') AND c.relkind IN ('r', 'p')
 GROUP BY n.nspname
HAVING count(*) = 4
 ORDER BY n.nspname
