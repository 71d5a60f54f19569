-- $1 partitions
SELECT partition, position FROM relay_checkpoints WHERE partition = ANY($1)
