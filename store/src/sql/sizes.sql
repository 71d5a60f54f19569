-- $1 the log's schema. Bytes on disk of its tables, indexes included; each month of events is a table of its own.
SELECT CASE WHEN c.relispartition THEN 'events'
            WHEN c.relname IN ('events', 'streams', 'commands') THEN c.relname::text
            ELSE 'other' END AS table_name,
       sum(pg_total_relation_size(c.oid))::bigint AS bytes
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
 GROUP BY table_name
