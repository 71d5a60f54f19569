-- The head of each stream. Updated in place, so pages keep room for new row versions.
CREATE TABLE streams (
    stream_id text    COLLATE "C" PRIMARY KEY,
    type      text    COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    version   bigint  NOT NULL,
    position  bigint  NOT NULL
) WITH (fillfactor = 70);
