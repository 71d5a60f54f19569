-- What was applied to this schema: one row. A running projector has its id, and applies nothing after another definition
-- has taken its place.
CREATE TABLE projector_definition (
    id         uuid        NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    log        text        NOT NULL,
    files      jsonb       NOT NULL, -- name to text
    schemas    jsonb       NOT NULL, -- event type to the Avro schema by which its events are read
    role       text,                 -- which the statements run as; NULL: the role that the projector connects as
    applied_at timestamptz NOT NULL DEFAULT now()
)
