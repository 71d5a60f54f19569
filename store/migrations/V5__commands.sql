-- Inbox and outcomes: a command id is here once it has taken effect, or was refused for good.
-- stream_ids, versions, partitions, positions run in parallel: the streams concerned, each with its version after the
-- command and the position of the command's last event there (0: none).
CREATE TABLE commands (
    command_id  text        COLLATE "C" PRIMARY KEY,
    type        text        COLLATE "C" NOT NULL,
    outcome     text        COLLATE "C" NOT NULL CHECK (outcome IN ('accepted', 'rejected', 'conflict')),
    code        text,
    message     text,
    stream_ids  text[]      NOT NULL,
    versions    bigint[]    NOT NULL,
    partitions  integer[]   NOT NULL,
    positions   bigint[]    NOT NULL,
    recorded_at timestamptz NOT NULL
);
