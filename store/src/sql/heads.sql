-- The last position of every partition, 0 where there is none.
SELECT p AS partition, coalesce((SELECT position FROM last_event(p)), 0) AS position
  FROM generate_series(0, (SELECT partitions - 1 FROM log)) AS p
