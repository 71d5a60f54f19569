-- $1 partition, $2 position
SELECT event_id, recorded_at FROM :log.events WHERE partition = $1 AND position = $2
