-- $1 partitions, $2 for each the position to go on after, $3 for each a time not later than the next event's
-- (recorded_at never goes backwards, so earlier months need not be looked at), $4 most events per partition.
-- Inside a partition, events come in order of position.
SELECT wanted.partition, e.position, e.stream_id, e.version, e.event_id, e.type, e.data::text, e.metadata::text,
       e.recorded_at
  FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[]) AS wanted(partition, after, since)
 CROSS JOIN LATERAL (
        SELECT *
          FROM events
         WHERE partition = wanted.partition AND position > wanted.after AND recorded_at >= wanted.since
         ORDER BY position
         LIMIT $4
       ) AS e
