-- Who did what, when, and why: a row for each event.
CREATE TABLE events (
    stream_id      text        NOT NULL,
    version        bigint      NOT NULL,
    type           text        NOT NULL,
    recorded_at    timestamptz NOT NULL,
    user_id        text,
    correlation_id text,
    causation_id   text,
    event_id       uuid        NOT NULL,
    partition      integer     NOT NULL,
    position       bigint      NOT NULL,
    data           jsonb       NOT NULL,
    PRIMARY KEY (stream_id, version)
);
CREATE INDEX ON events (recorded_at);
CREATE INDEX ON events (type, recorded_at);
CREATE INDEX ON events (user_id, recorded_at);
CREATE INDEX ON events (correlation_id);
CREATE INDEX ON events (causation_id);
CREATE INDEX ON events (event_id);
