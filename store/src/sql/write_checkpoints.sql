-- $1 partitions, $2 positions. Never goes backwards.
INSERT INTO :log.relay_checkpoints AS c (partition, position)
SELECT * FROM unnest($1::integer[], $2::bigint[])
    ON CONFLICT (partition) DO UPDATE SET position = excluded.position WHERE c.position < excluded.position
