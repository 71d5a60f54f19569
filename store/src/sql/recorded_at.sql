-- $1 partitions, $2 for each a position
SELECT e.partition, e.position, e.recorded_at
  FROM unnest($1::integer[], $2::bigint[]) AS wanted(partition, position)
  JOIN :log.events AS e ON e.partition = wanted.partition AND e.position = wanted.position
