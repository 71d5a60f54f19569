-- $1 partitions
SELECT partition, position, event_id, recorded_at FROM :log.heads($1)
