-- How far the writers have committed each partition of the command topic. append() moves it in its own transaction, so
-- it is the truth; the offsets that Kafka keeps for the writers' group are a hint.
CREATE TABLE :log.command_offsets (
    partition   integer PRIMARY KEY,
    next_offset bigint  NOT NULL
) WITH (fillfactor = 50);
