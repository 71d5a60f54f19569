-- lock_partitions(partitions): until the transaction ends, no one else appends to them. Ascending, so that two callers
-- never wait for each other.
CREATE FUNCTION lock_partitions(partitions integer[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    log_key integer := hashtext('millrace.append.' || current_schema());
    partition integer;
BEGIN
    FOR partition IN SELECT DISTINCT p FROM unnest(partitions) AS p ORDER BY p LOOP
        PERFORM pg_advisory_xact_lock(log_key, partition);
    END LOOP;
END
$$;
