-- lock_partitions(partitions): until the transaction ends, nobody else appends to these partitions. Takes the locks in
-- ascending order, so that two callers never wait for each other.
CREATE FUNCTION :log.lock_partitions(partitions integer[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    log_key integer := hashtext('millrace.append.:log');
    partition integer;
BEGIN
    FOR partition IN SELECT DISTINCT p FROM unnest(partitions) AS p ORDER BY p LOOP
        PERFORM pg_advisory_xact_lock(log_key, partition);
    END LOOP;
END
$$;
