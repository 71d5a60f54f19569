-- last_event(of_partition): the partition's last position and when it was recorded; no row when it is empty. Looks at
-- the current month first: events never go back in time, so what is there is the last.
CREATE FUNCTION last_event(of_partition integer) RETURNS TABLE ("position" bigint, recorded_at timestamptz)
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    this_month timestamptz := date_trunc('month', clock_timestamp(), 'UTC');
BEGIN
    RETURN QUERY
    SELECT e.position, e.recorded_at FROM events AS e
     WHERE e.partition = of_partition AND e.recorded_at >= this_month
     ORDER BY e.position DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN QUERY
        SELECT e.position, e.recorded_at FROM events AS e
         WHERE e.partition = of_partition
         ORDER BY e.position DESC LIMIT 1;
    END IF;
END
$$;
