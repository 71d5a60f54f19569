-- append(...): commits a batch of decided commands, in order, each by itself.
--
-- Per command:      command_ids, command_types, outcomes, codes, messages, metadata
-- Per stream:       stream_ids, stream_partitions (the distinct streams of the batch)
-- Per check, that is a stream a command was decided on, in command order:
--                   check_commands, check_streams (both count from 1), check_expected (-1 any, -2 stream exists,
--                   otherwise that version), check_events (how many events the command appends to the stream),
--                   before_events (how many the batch has before those)
-- Per event, in check order: event_checks (count from 1), event_ids, event_types, event_data
--
-- Returns a row per command. verdict 'committed' or 'duplicate': with the stored outcome. 'stale': nothing of it
-- happened, stale_stream is at actual_version. What was decided on the events of a stale or duplicate command is stale
-- too; the rest of the batch is not affected.
CREATE FUNCTION append(
    command_ids text[], command_types text[], outcomes text[], codes text[], messages text[], metadata jsonb[],
    stream_ids text[], stream_partitions integer[],
    check_commands integer[], check_streams integer[], check_expected bigint[], check_events integer[],
    before_events bigint[],
    event_checks integer[], event_ids uuid[], event_types text[], event_data jsonb[]
) RETURNS TABLE (
    verdict text, stale_stream text, actual_version bigint,
    outcome text, code text, message text, type text,
    outcome_stream_ids text[], outcome_versions bigint[], outcome_partitions integer[], outcome_positions bigint[],
    recorded_at timestamptz
) LANGUAGE plpgsql
-- A plan made while the tables were empty must not scan them when they are full.
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    command_count integer := cardinality(command_ids);
    check_count   integer := cardinality(check_commands);
    recorded      timestamptz;
    duplicates    boolean[];
    places        tid[];         -- per stream: where its row stands; NULL where there is none. The lock keeps it there
    versions      bigint[];      -- per stream: its version so far
    positions     bigint[];      -- per stream: position of its last event in this batch, 0 for none
    doubtful      boolean[];     -- per stream: events that later decisions count on were not appended
    heads         bigint[];      -- per partition, from 1: its last position so far
    version_before  bigint[];    -- per check: version and position that its first event comes after
    position_before bigint[];
    verdicts      text[] := array_fill('committed'::text, ARRAY[command_count]);
    stale_streams integer[] := array_fill(0, ARRAY[command_count]);
    this_check    integer := 1;
    first_check   integer;
    stream        integer;
    slot          integer;
    expected      bigint;
    verdict       text;
    touched       bigint;
    moved         bigint;
BEGIN
    SELECT b.heads, b.recorded INTO heads, recorded FROM begin_append(stream_partitions) AS b;

    SELECT array_agg(c.command_id IS NOT NULL ORDER BY wanted.nr) INTO duplicates
      FROM unnest(command_ids) WITH ORDINALITY AS wanted(id, nr)
      LEFT JOIN LATERAL (SELECT command_id FROM commands WHERE command_id = wanted.id LIMIT 1) AS c ON true;
    SELECT coalesce(array_agg(coalesce(s.version, 0) ORDER BY wanted.nr), '{}'),
           coalesce(array_agg(s.place ORDER BY wanted.nr), '{}')
      INTO versions, places
      FROM unnest(stream_ids) WITH ORDINALITY AS wanted(id, nr)
      LEFT JOIN LATERAL (SELECT version, ctid AS place FROM streams WHERE stream_id = wanted.id LIMIT 1) AS s ON true;

    positions := array_fill(0::bigint, ARRAY[cardinality(stream_ids)]);
    doubtful := array_fill(false, ARRAY[cardinality(stream_ids)]);
    version_before := array_fill(0::bigint, ARRAY[check_count]);
    position_before := array_fill(0::bigint, ARRAY[check_count]);
    FOR command IN 1 .. command_count LOOP
        first_check := this_check;
        verdict := CASE WHEN duplicates[command] THEN 'duplicate' ELSE 'committed' END;
        WHILE this_check <= check_count AND check_commands[this_check] = command LOOP
            stream := check_streams[this_check];
            expected := check_expected[this_check];
            -- On a doubtful stream an equal number says nothing: it may count other events than the decision did.
            IF verdict = 'committed'
               AND NOT (expected = -1 OR (expected = -2 AND versions[stream] > 0)
                        OR (expected = versions[stream] AND NOT doubtful[stream])) THEN
                verdict := 'stale';
                stale_streams[command] := stream;
            END IF;
            this_check := this_check + 1;
        END LOOP;
        IF verdict = 'committed' THEN
            FOR applied IN first_check .. this_check - 1 LOOP
                stream := check_streams[applied];
                slot := stream_partitions[stream] + 1;
                version_before[applied] := versions[stream];
                position_before[applied] := heads[slot];
                IF check_events[applied] > 0 THEN
                    versions[stream] := versions[stream] + check_events[applied];
                    heads[slot] := heads[slot] + check_events[applied];
                    positions[stream] := heads[slot];
                END IF;
            END LOOP;
        ELSE
            verdicts[command] := verdict;
            FOR passed_over IN first_check .. this_check - 1 LOOP
                IF check_events[passed_over] > 0 THEN
                    doubtful[check_streams[passed_over]] := true;
                END IF;
            END LOOP;
        END IF;
    END LOOP;
    INSERT INTO events (partition, position, stream_id, version, event_id, type, schema_version, data, metadata,
                        recorded_at)
    SELECT stream_partitions[check_streams[e.nr]],
           position_before[e.nr] + e.ordinal - before_events[e.nr],
           stream_ids[check_streams[e.nr]],
           version_before[e.nr] + e.ordinal - before_events[e.nr],
           e.event_id, e.type, 1, e.data, metadata[check_commands[e.nr]], recorded
      FROM unnest(event_checks, event_ids, event_types, event_data)
           WITH ORDINALITY AS e(nr, event_id, type, data, ordinal)
     WHERE verdicts[check_commands[e.nr]] = 'committed';
    IF FOUND THEN
        -- once this is committed, it wakes who waits at the log's end
        PERFORM pg_notify('millrace.' || current_schema(), '');
    END IF;

    INSERT INTO streams (stream_id, type, partition, version, position)
    SELECT id, split_part(id, '-', 1), partition, version, position
      FROM unnest(stream_ids, stream_partitions, places, versions, positions)
           AS changed(id, partition, place, version, position)
     WHERE place IS NULL AND position > 0;
    SELECT count(*) INTO touched FROM unnest(places, positions) AS changed(place, position)
     WHERE place IS NOT NULL AND position > 0;
    -- by place: half the cost of finding each row by its key again
    UPDATE streams AS s SET version = changed.version, position = changed.position
      FROM unnest(places, versions, positions) AS changed(place, version, position)
     WHERE s.ctid = changed.place AND changed.position > 0;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> touched THEN
        RAISE EXCEPTION 'rows of streams were changed by something else than append()' USING ERRCODE = 'serialization_failure';
    END IF;

    RETURN QUERY
    WITH inserted AS (
        INSERT INTO commands AS c (command_id, type, outcome, code, message, stream_ids, versions, partitions, positions,
                                   recorded_at)
        SELECT asked.id, command_types[asked.nr], outcomes[asked.nr], codes[asked.nr], messages[asked.nr],
               coalesce(concerned.ids, '{}'), coalesce(concerned.versions, '{}'),
               coalesce(concerned.partitions, '{}'), coalesce(concerned.positions, '{}'), recorded
          FROM unnest(command_ids) WITH ORDINALITY AS asked(id, nr)
          LEFT JOIN (SELECT k.command,
                            array_agg(stream_ids[k.stream] ORDER BY k.nr) AS ids,
                            array_agg(version_before[k.nr] + k.events ORDER BY k.nr) AS versions,
                            array_agg(stream_partitions[k.stream] ORDER BY k.nr) AS partitions,
                            array_agg(CASE WHEN k.events > 0 THEN position_before[k.nr] + k.events ELSE 0 END
                                      ORDER BY k.nr) AS positions
                       FROM unnest(check_commands, check_streams, check_events)
                            WITH ORDINALITY AS k(command, stream, events, nr)
                      GROUP BY k.command) AS concerned ON concerned.command = asked.nr
         WHERE verdicts[asked.nr] = 'committed'
        RETURNING c.*
    -- not called as this function's variables are
    ), stored (its_id, its_type, its_outcome, its_code, its_message, its_streams, its_versions, its_partitions,
               its_positions, its_time) AS (
        SELECT * FROM inserted
         UNION ALL
        SELECT c.* FROM unnest(command_ids, duplicates) AS asked(id, known)
          JOIN commands AS c ON c.command_id = asked.id
         WHERE asked.known
    )
    SELECT verdicts[asked.nr], stream_ids[stale_streams[asked.nr]], versions[stale_streams[asked.nr]],
           its_outcome, its_code, its_message, its_type, its_streams, its_versions, its_partitions, its_positions, its_time
      FROM unnest(command_ids) WITH ORDINALITY AS asked(id, nr)
      LEFT JOIN stored ON its_id = asked.id
     ORDER BY asked.nr;
END
$$;
