-- $1 partition, $2 last published position, $3 reason
INSERT INTO :log.halts AS h (partition, position, reason) VALUES ($1, $2, $3)
    ON CONFLICT (partition) DO UPDATE SET position = excluded.position, reason = excluded.reason
