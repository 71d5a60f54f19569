-- $1 stream id, $2 the version to go on after, $3 the last position to look at, $4 the earliest time, $5 most events,
-- $6 bytes of data after which the page ends, $7 schema numbers, $8 correlation id, $9 user id; a null filters nothing.
-- `found` counts the events within $5, also those that $6 cuts off: by it the caller knows that the page was cut short.
SELECT e.partition, e.position, e.stream_id, e.version, e.event_id, e.schema, e.data,
       e.correlation_id, e.causation_id, e.user_id, e.source, e.client_address, e.traceparent, e.recorded_at, e.found
  FROM (SELECT page.*,
               count(*) OVER () AS found,
               sum(octet_length(page.data))
                   OVER (ORDER BY page.version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
          FROM (SELECT *
                  FROM :log.events
                 WHERE stream_id = $1 COLLATE "C" AND version > $2 AND position <= $3 AND recorded_at >= $4
                   AND ($7::smallint[] IS NULL OR schema = ANY ($7))
                   AND ($8::text IS NULL OR correlation_id = $8 COLLATE "C")
                   AND ($9::text IS NULL OR user_id = $9 COLLATE "C")
                 ORDER BY version
                 LIMIT $5) AS page
       ) AS e
 WHERE coalesce(e.bytes_before, 0) < $6
 ORDER BY e.version
