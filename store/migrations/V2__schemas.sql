-- Every version of every record's schema that the log's topics carry. Rows are added and never changed, because stored
-- events refer to them.
CREATE TABLE :log.schemas (
    number      smallint    PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    topic       text        NOT NULL CHECK (topic IN ('commands', 'events', 'outcomes')),
    -- the record's name without its namespace: the header ce_type
    name        text        NOT NULL,
    -- 1, 2, 3 … for each record
    version     integer     NOT NULL,
    registry_id integer     NOT NULL,
    avsc        text        NOT NULL,
    -- SHA-256 of avsc
    fingerprint bytea       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (topic, name, version),
    UNIQUE (topic, name, fingerprint)
);
