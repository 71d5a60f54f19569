-- A row for each stream, with the value that each field of its events had last.
CREATE TABLE streams (
    stream_id    text        PRIMARY KEY,
    stream_type  text        NOT NULL,
    version      bigint      NOT NULL,
    last_type    text        NOT NULL,
    changed_at   timestamptz NOT NULL,
    changed_by   text,
    state        jsonb       NOT NULL
);
CREATE INDEX ON streams (stream_type, changed_at);
CREATE INDEX ON streams USING gin (state jsonb_path_ops);
