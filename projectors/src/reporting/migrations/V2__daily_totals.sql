-- The sums of all entries of a day (of reporting_at, in UTC) in one currency: credits raise balances, debits lower
-- them; both are positive. Over many accounts the sums outgrow a bigint.
CREATE TABLE daily_totals (
    day           date          NOT NULL,
    currency      text          NOT NULL,
    credits_minor numeric(38,0) NOT NULL,
    debits_minor  numeric(38,0) NOT NULL,
    entries       bigint        NOT NULL,
    PRIMARY KEY (day, currency)
) WITH (fillfactor = 70);
