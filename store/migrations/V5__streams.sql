-- A row for each stream, from its first event on. Never updated.
CREATE TABLE :log.streams (
    -- when its first event was recorded
    recorded_at timestamptz NOT NULL,
    partition   integer     NOT NULL,
    stream_id   text        COLLATE "C" PRIMARY KEY,
    type        text        COLLATE "C" NOT NULL
);
