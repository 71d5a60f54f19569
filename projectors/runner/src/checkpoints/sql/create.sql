-- How far a read model has applied each partition of a log; the same in every read model. A partition without a row
-- has had nothing applied. Lives and dies with the read model's other tables.
CREATE TABLE IF NOT EXISTS checkpoints (
    log       text    NOT NULL,
    partition integer NOT NULL,
    position  bigint  NOT NULL CHECK (position >= 0),
    PRIMARY KEY (log, partition)
) WITH (fillfactor = 50);
