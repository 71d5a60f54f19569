-- How far the relay has published, per partition. A hint, written lazily: the tail of the topic is the truth.
CREATE TABLE relay_checkpoints (
    partition integer PRIMARY KEY,
    position  bigint  NOT NULL
) WITH (fillfactor = 50);
