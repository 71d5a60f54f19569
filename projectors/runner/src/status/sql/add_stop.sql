-- $1 log, $2 partition, $3 position, $4 reason
INSERT INTO projector_stops AS known (log, partition, position, times, reason, at) VALUES ($1, $2, $3, 1, $4, now())
    ON CONFLICT (log, partition) DO UPDATE
   SET position = excluded.position, times = known.times + 1, reason = excluded.reason, at = excluded.at
