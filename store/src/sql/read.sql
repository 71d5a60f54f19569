-- $1 partitions, $2 for each the position to go on after, $3 for each a time not later than that event's (recorded_at
-- never goes backwards, so Postgres need not search earlier months), $4 most events per partition, $5 bytes of data
-- after which a partition's page ends. The event at the position itself comes first, without its data: the reader
-- checks that it is still the same. Inside a partition, events come in order of position.
SELECT e.partition, e.position, e.stream_id, e.version, e.event_id, e.schema,
       CASE WHEN e.position > wanted.after THEN e.data END AS data,
       e.correlation_id, e.causation_id, e.user_id, e.source, e.client_address, e.traceparent, e.recorded_at
  FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[]) AS wanted(partition, after, since)
 CROSS JOIN LATERAL (
        SELECT page.*,
               sum(CASE WHEN page.position > wanted.after THEN octet_length(page.data) ELSE 0 END)
                   OVER (ORDER BY page.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
          FROM (SELECT *
                  FROM :log.events
                 WHERE partition = wanted.partition AND position >= wanted.after AND recorded_at >= wanted.since
                 ORDER BY position
                 LIMIT $4::bigint + 1) AS page
       ) AS e
 WHERE coalesce(e.bytes_before, 0) < $5::bigint
