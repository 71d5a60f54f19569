-- Inbox and outcomes: every command that was accepted, or refused for good.
CREATE TABLE :log.commands (
    -- the command's id if it is a UUID, else the UUIDv5 of it (namespace OID)
    key         uuid        PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    -- schemas.number of the outcome's record
    schema      smallint    NOT NULL,
    -- the hash of the command's content: the same id with another hash is another command
    hash        bytea       NOT NULL,
    -- the Avro datum that the topic carries
    outcome     bytea       NOT NULL
);
