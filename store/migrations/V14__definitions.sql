-- The log definitions that `millrace log apply` has applied, the newest last. None when the log's definition is part of
-- the program.
CREATE TABLE :log.definitions (
    number     integer     PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    -- path in the folder to text
    files      jsonb       NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
