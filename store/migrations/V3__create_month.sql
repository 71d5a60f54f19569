-- create_month(at): makes sure that the month of `at` (UTC) has its table. Attaching takes no lock that stops readers
-- or appenders.
CREATE FUNCTION create_month(at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first_day timestamptz := date_trunc('month', at, 'UTC');
    next_first_day timestamptz := date_trunc('month', first_day + interval '32 days', 'UTC');
    month_table text := 'events_' || to_char(at AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('millrace.create_month'), hashtext(current_schema()));
    IF to_regclass(month_table) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', month_table);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (partition, position)', month_table || '_position', month_table);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (stream_id, version)', month_table || '_version', month_table);
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', month_table);
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   month_table, first_day, next_first_day);
END
$$;
