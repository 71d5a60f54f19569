-- What is fixed when the log is created. One row.
CREATE TABLE log (
    one_row    boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    partitions integer NOT NULL CHECK (partitions BETWEEN 1 AND 1000),
    created_at timestamptz NOT NULL DEFAULT now()
);
