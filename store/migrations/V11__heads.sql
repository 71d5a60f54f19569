-- heads(partitions): the last event of each partition; an empty one has position 0, the nil UUID and no time. Looks at
-- the current month first: recorded_at never goes backwards, so an event there is later than all of earlier months.
CREATE FUNCTION :log.heads(partitions integer[])
RETURNS TABLE ("partition" integer, "position" bigint, event_id uuid, recorded_at timestamptz)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
    this_month timestamptz := date_trunc('month', clock_timestamp(), 'UTC');
    asked integer;
    found_position bigint;
    found_id uuid;
    found_time timestamptz;
BEGIN
    FOREACH asked IN ARRAY partitions LOOP
        SELECT e.position, e.event_id, e.recorded_at INTO found_position, found_id, found_time
          FROM :log.events AS e
         WHERE e.partition = asked AND e.recorded_at >= this_month
         ORDER BY e.position DESC LIMIT 1;
        IF NOT FOUND THEN
            SELECT e.position, e.event_id, e.recorded_at INTO found_position, found_id, found_time
              FROM :log.events AS e
             WHERE e.partition = asked
             ORDER BY e.position DESC LIMIT 1;
        END IF;
        RETURN QUERY SELECT asked, coalesce(found_position, 0),
                            coalesce(found_id, '00000000-0000-0000-0000-000000000000'), found_time;
    END LOOP;
END
$$;
