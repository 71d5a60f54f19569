-- Every account, with the sum of its entries.
CREATE TABLE account_balances (
    account_id     text        PRIMARY KEY,
    currency       text        NOT NULL,
    balance_minor  bigint      NOT NULL,
    entries        bigint      NOT NULL,
    -- the latest reporting_at of its entries; NULL while it has none
    last_posted_at timestamptz,
    -- when the closing was recorded; NULL while it is open
    closed_at      timestamptz
) WITH (fillfactor = 70);
