-- $1 partitions
SELECT partition, position FROM :log.relay_checkpoints WHERE partition = ANY($1)
