-- Every event of the log, once; also the relay's outbox. Range-partitioned by month of recorded_at, so that an append
-- costs the same however long the history is. The unique indexes stand on each month (see create_month).
CREATE TABLE events (
    partition      integer     NOT NULL,
    position       bigint      NOT NULL,
    stream_id      text        COLLATE "C" NOT NULL,
    version        bigint      NOT NULL,
    event_id       uuid        NOT NULL,
    type           text        COLLATE "C" NOT NULL,
    schema_version smallint    NOT NULL,
    data           jsonb       NOT NULL,
    metadata       jsonb       NOT NULL,
    recorded_at    timestamptz NOT NULL
) PARTITION BY RANGE (recorded_at);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed or deleted (% on %)', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation',
              HINT = 'append a compensating event instead';
END
$$;

-- Row triggers reach every month by themselves; a statement trigger does not, so each month gets its own for TRUNCATE.
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
