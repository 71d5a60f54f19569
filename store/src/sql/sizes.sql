-- Bytes on disk of the log's tables, their indexes among them; the months are tables of their own.
SELECT CASE WHEN c.relispartition THEN 'events'
            WHEN c.relname IN ('events', 'streams', 'commands') THEN c.relname::text
            ELSE 'other' END AS table_name,
       sum(pg_total_relation_size(c.oid))::bigint AS bytes
  FROM pg_class AS c
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
 GROUP BY table_name
