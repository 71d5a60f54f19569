-- $1 partitions, $2 for each its last position, $3 a time. Returns the last position of each partition that was
-- recorded before the time, or 0. No index has recorded_at, and none is needed: inside a partition it never goes
-- backwards and positions have no hole, so a binary search of some twenty look-ups by position finds the place.
SELECT wanted.partition, found.position
  FROM unnest($1::integer[], $2::bigint[]) AS wanted(partition, head)
 CROSS JOIN LATERAL (
        -- low was recorded before the time, high was not
        WITH RECURSIVE bisection(low, high) AS (
            SELECT 0::bigint, wanted.head + 1
             UNION ALL
            SELECT CASE WHEN e.recorded_at < $3 THEN e.position ELSE b.low END,
                   CASE WHEN e.recorded_at < $3 THEN b.high ELSE e.position END
              FROM bisection AS b
              JOIN :log.events AS e ON e.partition = wanted.partition AND e.position = (b.low + b.high) / 2
             WHERE b.high - b.low > 1
        )
        SELECT max(low) AS position FROM bisection
       ) AS found
