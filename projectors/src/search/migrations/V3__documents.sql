-- Everything that a search can find: a row for each entry and each account. Rows are added and never changed.
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

-- Every search reads the whole pending list, so keep the list short.
CREATE INDEX documents_words ON documents USING gin (words) WITH (gin_pending_list_limit = 1024);
