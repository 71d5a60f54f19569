-- How far the relay has published each partition. A hint that the relay writes now and then: the topic's end is the
-- truth.
CREATE TABLE :log.relay_checkpoints (
    partition integer PRIMARY KEY,
    position  bigint  NOT NULL
) WITH (fillfactor = 50);
