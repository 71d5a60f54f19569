-- The partitions that the relay has halted.
SELECT partition, position, reason, since FROM :log.halts ORDER BY partition
