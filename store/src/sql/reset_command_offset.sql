-- $1 partition, $2 next offset. Also moves backwards: after the topic was deleted and created again, the stored offset
-- says nothing about it.
INSERT INTO :log.command_offsets (partition, next_offset) VALUES ($1, $2)
    ON CONFLICT (partition) DO UPDATE SET next_offset = excluded.next_offset
