-- $1 log, $2 partitions integer[]: gives each of them a checkpoint to move from
INSERT INTO checkpoints (log, partition, position)
SELECT $1, partition, 0 FROM unnest($2::integer[]) AS begun (partition) ORDER BY partition
ON CONFLICT DO NOTHING
