-- All entries of a day (of reporting_at, in UTC) and currency: what raised balances, and what lowered them, both as
-- positive sums. Over many accounts they outgrow a bigint.
CREATE TABLE daily_totals (
    day           date          NOT NULL,
    currency      text          NOT NULL,
    credits_minor numeric(38,0) NOT NULL,
    debits_minor  numeric(38,0) NOT NULL,
    entries       bigint        NOT NULL,
    PRIMARY KEY (day, currency)
) WITH (fillfactor = 70);
