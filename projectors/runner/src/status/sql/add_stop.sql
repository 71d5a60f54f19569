-- $1 log, $2 partition, $3 position, $4 reason, $5 generation: what an earlier one did is no fact of this one
INSERT INTO projector_stops AS known (log, partition, position, times, reason, at)
SELECT $1, $2, $3, 1, $4, now() FROM projector_generation WHERE generation = $5
    ON CONFLICT (log, partition) DO UPDATE
   SET position = excluded.position, times = known.times + 1, reason = excluded.reason, at = excluded.at
