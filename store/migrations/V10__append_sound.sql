-- append_sound(...): commits a batch of decided commands if each of them commits, else nothing, and returns no row. Nearly
-- always they do, and then the versions are known before and need not be looked up: a stream is moved from the version
-- that its decisions took it to have, or it is not.
--
-- Per command:      command_ids, command_types, outcomes, codes, messages, metadata
-- Per stream:       stream_ids, stream_partitions (the distinct streams of the batch), stream_versions (before the
--                   batch), stream_events (what the batch appends to it), stream_ends (what the batch appends to its
--                   partition up to its own last; 0: nothing)
-- Per stream that a command was decided on, in command order:
--                   check_commands, check_streams (both count from 1), check_versions (after the command), check_ends
--                   (what the batch appends to the stream's partition up to the command's last there; 0: nothing)
-- Per event, in any order (by partition and place, few pages are written, and read later):
--                   event_commands, event_streams (both count from 1), event_versions, event_ends (as above, up to
--                   this one), event_ids, event_types, event_data
--
-- Returns the positions after which the batch begins, as begin_append() does, and when it was recorded.
CREATE FUNCTION append_sound(
    command_ids text[], command_types text[], outcomes text[], codes text[], messages text[], metadata jsonb[],
    stream_ids text[], stream_partitions integer[], stream_versions bigint[], stream_events bigint[],
    stream_ends bigint[],
    check_commands integer[], check_streams integer[], check_versions bigint[], check_ends bigint[],
    event_commands integer[], event_streams integer[], event_versions bigint[], event_ends bigint[],
    event_ids uuid[], event_types text[], event_data jsonb[]
) RETURNS TABLE (heads bigint[], recorded_at timestamptz) LANGUAGE plpgsql
-- A plan made while the tables were empty must not scan them when they are full.
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    before   bigint[];
    recorded timestamptz;
    to_move  bigint;
    moved    bigint;
BEGIN
    SELECT b.heads, b.recorded INTO before, recorded FROM begin_append(stream_partitions) AS b;

    -- first, so that a batch that comes again writes nothing else
    INSERT INTO commands (command_id, type, outcome, code, message, stream_ids, versions, partitions, positions,
                          recorded_at)
    SELECT asked.id, asked.type, asked.outcome, asked.code, asked.message,
           coalesce(concerned.ids, '{}'), coalesce(concerned.versions, '{}'),
           coalesce(concerned.partitions, '{}'), coalesce(concerned.positions, '{}'), recorded
      FROM unnest(command_ids, command_types, outcomes, codes, messages)
           WITH ORDINALITY AS asked(id, type, outcome, code, message, nr)
      LEFT JOIN (SELECT k.command,
                        array_agg(stream_ids[k.stream] ORDER BY k.nr) AS ids,
                        array_agg(k.version ORDER BY k.nr) AS versions,
                        array_agg(stream_partitions[k.stream] ORDER BY k.nr) AS partitions,
                        array_agg(CASE WHEN k.ends > 0 THEN before[stream_partitions[k.stream] + 1] + k.ends ELSE 0 END
                                  ORDER BY k.nr) AS positions
                   FROM unnest(check_commands, check_streams, check_versions, check_ends)
                        WITH ORDINALITY AS k(command, stream, version, ends, nr)
                  GROUP BY k.command) AS concerned ON concerned.command = asked.nr;

    SELECT count(*) INTO to_move FROM unnest(stream_versions, stream_events) AS s(version, events)
     WHERE s.version > 0 AND s.events > 0;
    UPDATE streams AS s SET version = c.version + c.events, position = before[c.partition + 1] + c.ends
      FROM unnest(stream_ids, stream_partitions, stream_versions, stream_events, stream_ends)
           AS c(id, partition, version, events, ends)
     WHERE s.stream_id = c.id AND s.version = c.version AND c.version > 0 AND c.events > 0;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> to_move OR (0 = ANY (stream_events) AND EXISTS (
            SELECT FROM unnest(stream_ids, stream_versions, stream_events) AS c(id, version, events)
             WHERE c.events = 0 AND c.version <> coalesce((SELECT version FROM streams WHERE stream_id = c.id), 0))) THEN
        RAISE EXCEPTION 'a stream is not at the version expected' USING ERRCODE = 'ML001';
    END IF;
    INSERT INTO streams (stream_id, type, partition, version, position)
    SELECT id, split_part(id, '-', 1), partition, events, before[partition + 1] + ends
      FROM unnest(stream_ids, stream_partitions, stream_versions, stream_events, stream_ends)
           AS c(id, partition, version, events, ends)
     WHERE version = 0 AND events > 0;

    INSERT INTO events (partition, position, stream_id, version, event_id, type, schema_version, data, metadata,
                        recorded_at)
    SELECT stream_partitions[e.stream], before[stream_partitions[e.stream] + 1] + e.ends, stream_ids[e.stream],
           e.version, e.event_id, e.type, 1, e.data, metadata[e.command], recorded
      FROM unnest(event_commands, event_streams, event_versions, event_ends, event_ids, event_types, event_data)
           AS e(command, stream, version, ends, event_id, type, data);
    IF FOUND THEN
        -- once this is committed, it wakes who waits at the log's end
        PERFORM pg_notify('millrace.' || current_schema(), '');
    END IF;
    RETURN QUERY SELECT before, recorded;
EXCEPTION
    -- a stream or a command id is there already, or a version is another: append() finds out which
    WHEN unique_violation OR SQLSTATE 'ML001' THEN
        RETURN;
END
$$;
