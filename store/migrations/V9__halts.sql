-- Partitions that the relay has halted, because Postgres and the topic contradict each other. The relay deletes the row
-- when it goes on with the partition.
CREATE TABLE :log.halts (
    partition integer     PRIMARY KEY,
    -- the last position that the relay had published
    position  bigint      NOT NULL,
    reason    text        NOT NULL,
    since     timestamptz NOT NULL DEFAULT now()
);
