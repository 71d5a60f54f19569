-- begin_append(partitions): until the transaction ends, nobody else appends to these partitions. Returns their last
-- positions (the element after the partition's number; 0 where it is empty), the time to record, which is not before
-- any of theirs, and sees to the month of that time. READ COMMITTED: what is read after it is what earlier appends
-- committed.
CREATE FUNCTION begin_append(partitions integer[], OUT heads bigint[], OUT recorded timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
    last_event record;
    partition  integer;
BEGIN
    partitions := ARRAY(SELECT DISTINCT p FROM unnest(partitions) AS p ORDER BY p);
    PERFORM lock_partitions(partitions);
    recorded := clock_timestamp();
    heads := array_fill(0::bigint, ARRAY[1 + coalesce(partitions[cardinality(partitions)], 0)]);
    FOREACH partition IN ARRAY partitions LOOP
        SELECT e.position, e.recorded_at INTO last_event FROM last_event(partition) AS e;
        heads[partition + 1] := coalesce(last_event.position, 0);
        recorded := greatest(recorded, last_event.recorded_at);
    END LOOP;
    IF to_regclass('events_' || to_char(recorded AT TIME ZONE 'UTC', 'YYYY_MM')) IS NULL THEN
        PERFORM create_month(recorded);
    END IF;
END
$$;
