-- Every event of the log, once; also the relay's outbox. Range-partitioned by month of recorded_at, so that an append
-- costs the same however long the history is. Each month has its own unique indexes (see create_month). The order of
-- the columns leaves no gaps between them on disk.
CREATE TABLE :log.events (
    position       bigint      NOT NULL,
    version        bigint      NOT NULL,
    recorded_at    timestamptz NOT NULL,
    event_id       uuid        NOT NULL,
    partition      integer     NOT NULL,
    -- schemas.number
    schema         smallint    NOT NULL,
    stream_id      text        COLLATE "C" NOT NULL,
    -- the Avro datum that the topic carries
    data           bytea       NOT NULL,
    correlation_id text        COLLATE "C",
    causation_id   text        COLLATE "C",
    user_id        text        COLLATE "C",
    source         text        COLLATE "C",
    client_address text        COLLATE "C",
    traceparent    text        COLLATE "C"
) PARTITION BY RANGE (recorded_at);

CREATE FUNCTION :log.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed or deleted (% on %)', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation',
              HINT = 'append a compensating event instead';
END
$$;

-- Postgres gives a row trigger to every month, but not a statement trigger; so create_month adds one for TRUNCATE.
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON :log.events
    FOR EACH ROW EXECUTE FUNCTION :log.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON :log.events
    FOR EACH STATEMENT EXECUTE FUNCTION :log.refuse_change();
