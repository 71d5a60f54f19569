-- How far a read model has applied each partition of a log; the same in every read model. A partition without a row
-- has had nothing applied. Lives and dies with the read model's other tables.
CREATE TABLE IF NOT EXISTS checkpoints (
    log       text    NOT NULL,
    partition integer NOT NULL,
    position  bigint  NOT NULL CHECK (position >= 0),
    -- how many events were applied, and the hash of their ids: the audit holds both against the log
    events    bigint  NOT NULL DEFAULT 0,
    ids_hash  bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (log, partition)
) WITH (fillfactor = 50);

-- Four bytes of each applied event's hash, in order of position: where a hash of ids differs from the log's, they say
-- from which event on. A row has the events from position first to last, at most 256.
CREATE TABLE IF NOT EXISTS fingerprints (
    log       text    NOT NULL,
    partition integer NOT NULL,
    first     bigint  NOT NULL,
    last      bigint  NOT NULL,
    prints    bytea   NOT NULL,
    PRIMARY KEY (log, partition, first)
);

-- Has a row while the projector is paused on purpose. Like all tables named projector_…, it is no part of what a reset
-- empties.
CREATE TABLE IF NOT EXISTS projector_pause (
    only_one  boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    since     timestamptz NOT NULL DEFAULT now(),
    paused_by text        NOT NULL DEFAULT session_user,
    reason    text
);

-- Which build of the read model this is. An instance goes by it: once another build has taken the place, it applies nothing.
CREATE TABLE IF NOT EXISTS projector_generation (
    only_one   boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    generation integer     NOT NULL CHECK (generation > 0),
    version    integer     NOT NULL, -- of the projector's code that fills it
    -- live: readers see it; building: a rebuild fills it; replaced: it was live before
    state      text        NOT NULL CHECK (state IN ('live', 'building', 'replaced')),
    since      timestamptz NOT NULL DEFAULT now()
);

-- What last stopped a partition, and how often something did. It still stands still if its checkpoint is before position.
CREATE TABLE IF NOT EXISTS projector_stops (
    log       text        NOT NULL,
    partition integer     NOT NULL,
    -- of the event that is missing or can't be applied
    position  bigint      NOT NULL,
    times     bigint      NOT NULL,
    reason    text        NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (log, partition)
);

-- Whether the read model shows the writes of a token: <log>/<partition>@<position>, several joined by commas. The body is
-- bound to the table itself, so it follows the schema when that is renamed. NULL for NULL: a command without a token has
-- written nothing.
CREATE OR REPLACE FUNCTION has_applied(token text) RETURNS boolean
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    -- a cast that fails is how a function in SQL says what is wrong
    SELECT CASE WHEN token = '' THEN ('not a token, which looks like orders/3@17: ' || token)::boolean ELSE (
        SELECT bool_and(
                   CASE
                       WHEN place ~ '^[a-z][a-z0-9]*/[0-9]{1,9}@[0-9]{1,18}$' THEN
                           EXISTS (SELECT FROM checkpoints AS c
                                    WHERE c.log = split_part(place, '/', 1)
                                      AND c.partition = split_part(split_part(place, '/', 2), '@', 1)::integer
                                      AND c.position >= split_part(place, '@', 2)::bigint)
                       ELSE ('not a token, which looks like orders/3@17: ' || place)::boolean
                   END)
          FROM string_to_table(token, ',') AS place) END;
END;
