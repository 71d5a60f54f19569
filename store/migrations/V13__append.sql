-- append(...): commits a batch of decided commands and their events, if the log ends with the events that the writer
-- thinks are the last.
--
-- Per partition, ascending: partitions, head_positions, head_ids (the last event of each, as the writer knows it)
-- Per command: command_keys, command_hashes, command_outcomes (the datum without its last field, recorded_at: this
--              function appends it); outcome_schema, the schemas.number of all outcomes
-- Per partition of the command topic: read_partitions, next_offsets; and known_partitions, known_offsets, the offsets
--              that the writer's earlier appends have committed
-- Per event: the rest. Positions follow the heads without a hole. Any order works; in order of partition and position,
--              Postgres writes the fewest pages, and later reads the fewest.
--
-- Returns one row. If recorded_at is set, the whole batch is committed. Else nothing is: either known has the command
-- keys that were committed before; or lost is true, since the log has forgotten an offset that the writer committed; or
-- another writer has moved a head, and positions and ids have the heads that the log has now.
CREATE FUNCTION :log.append(
    partitions integer[], head_positions bigint[], head_ids uuid[],
    command_keys uuid[], command_hashes bytea[], command_outcomes bytea[], outcome_schema smallint,
    read_partitions integer[], next_offsets bigint[], known_partitions integer[], known_offsets bigint[],
    event_partitions integer[], event_positions bigint[], stream_ids text[], versions bigint[], event_ids uuid[],
    schemas smallint[], data bytea[],
    correlation_ids text[], causation_ids text[], user_ids text[], sources text[], client_addresses text[],
    traceparents text[],
    OUT recorded_at timestamptz, OUT positions bigint[], OUT ids uuid[], OUT known uuid[],
    OUT lost boolean
) LANGUAGE plpgsql
-- Postgres caches the function's plans. One made while the tables were empty must not scan them when they are full.
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    last_recorded timestamptz;
    recorded      timestamptz;
    outcome_end   bytea;
    broken        text;
BEGIN
    -- The locks come before the first read, so that each later statement sees what earlier appends committed.
    PERFORM :log.lock_partitions(partitions);

    SELECT coalesce(array_agg(h.position ORDER BY h.partition), '{}'),
           coalesce(array_agg(h.event_id ORDER BY h.partition), '{}'), max(h.recorded_at)
      INTO positions, ids, last_recorded
      FROM :log.heads(partitions) AS h;
    IF positions <> head_positions OR ids <> head_ids THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM unnest(known_partitions, known_offsets) AS k(partition, next_offset)
                 LEFT JOIN :log.command_offsets AS o ON o.partition = k.partition
                WHERE coalesce(o.next_offset, 0) < k.next_offset) THEN
        lost := true;
        RETURN;
    END IF;
    recorded := greatest(clock_timestamp(), last_recorded);

    outcome_end := :log.avro_long((extract(epoch FROM recorded) * 1000000)::bigint);
    BEGIN
        INSERT INTO :log.commands (key, recorded_at, schema, hash, outcome)
        SELECT c.key, recorded, outcome_schema, c.hash, c.outcome || outcome_end
          FROM unnest(command_keys, command_hashes, command_outcomes) AS c(key, hash, outcome);
    EXCEPTION WHEN unique_violation THEN
        GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
        IF broken <> 'commands_pkey' THEN
            RAISE;
        END IF;
        known := ARRAY(SELECT c.key FROM :log.commands AS c WHERE c.key = ANY (command_keys));
        RETURN;
    END;

    INSERT INTO :log.command_offsets AS o (partition, next_offset)
    SELECT r.partition, r.next_offset FROM unnest(read_partitions, next_offsets) AS r(partition, next_offset)
        ON CONFLICT (partition) DO UPDATE SET next_offset = greatest(o.next_offset, excluded.next_offset);

    IF cardinality(event_ids) > 0 THEN
        PERFORM :log.create_month(recorded);
        IF 1 = ANY (versions) THEN
            INSERT INTO :log.streams (recorded_at, partition, stream_id, type)
            SELECT recorded, e.partition, e.stream_id, split_part(e.stream_id, '-', 1)
              FROM unnest(event_partitions, stream_ids, versions) AS e(partition, stream_id, version)
             WHERE e.version = 1;
        END IF;
        INSERT INTO :log.events (position, version, recorded_at, event_id, partition, schema, stream_id, data,
                                 correlation_id, causation_id, user_id, source, client_address, traceparent)
        SELECT e.position, e.version, recorded, e.event_id, e.partition, e.schema, e.stream_id, e.data,
               e.correlation_id, e.causation_id, e.user_id, e.source, e.client_address, e.traceparent
          FROM unnest(event_partitions, event_positions, stream_ids, versions, event_ids, schemas, data,
                      correlation_ids, causation_ids, user_ids, sources, client_addresses, traceparents)
               AS e(partition, position, stream_id, version, event_id, schema, data,
                    correlation_id, causation_id, user_id, source, client_address, traceparent);
        -- Postgres sends it at the commit, and it wakes the relays that wait at the log's end.
        PERFORM pg_notify('millrace.:name', '');
    END IF;
    recorded_at := recorded;
END
$$;
