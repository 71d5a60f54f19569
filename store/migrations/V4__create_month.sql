-- create_month(at): creates the table for the month of `at` (UTC), unless it exists. Attaching it takes no lock that
-- stops readers or appenders.
CREATE FUNCTION :log.create_month(at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first_day timestamptz := date_trunc('month', at, 'UTC');
    next_first_day timestamptz := date_trunc('month', first_day + interval '32 days', 'UTC');
    month_name text := 'events_' || to_char(at AT TIME ZONE 'UTC', 'YYYY_MM');
    month_table text := format(':log.%I', month_name);
BEGIN
    IF to_regclass(month_table) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('millrace.create_month'), hashtext(':log'));
    IF to_regclass(month_table) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %s (LIKE :log.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', month_table);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %s (partition, position)', month_name || '_position', month_table);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %s (stream_id, version)', month_name || '_version', month_table);
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %s
                        FOR EACH STATEMENT EXECUTE FUNCTION :log.refuse_change()', month_table);
    EXECUTE format('ALTER TABLE :log.events ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
                   month_table, first_day, next_first_day);
END
$$;
