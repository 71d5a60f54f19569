-- What can be found: one row an entry, one row an account. Rows are only ever added.
CREATE TABLE documents (
    partition    integer     NOT NULL,
    position     bigint      NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('account', 'entry')),
    -- of an entry: its entry set; of an account: the account
    id           text        NOT NULL,
    account_id   text        NOT NULL,
    description  text,
    amount_minor bigint,
    currency     text        NOT NULL,
    reporting_at timestamptz,
    words        tsvector    NOT NULL,
    PRIMARY KEY (partition, position)
);

-- A search reads the pending list from end to end, so the list is kept short.
CREATE INDEX documents_words ON documents USING gin (words) WITH (gin_pending_list_limit = 1024);
