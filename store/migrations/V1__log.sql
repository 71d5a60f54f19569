-- One row: the properties of the log that its creation fixes for ever.
CREATE TABLE :log.log (
    one_row    boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    partitions integer     NOT NULL CHECK (partitions BETWEEN 1 AND 1000),
    -- the name of the log definition that the log was created from
    definition text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
