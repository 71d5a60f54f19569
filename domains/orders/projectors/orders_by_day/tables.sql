CREATE TABLE totals (
    customer_id text, day date, currency text,
    orders bigint NOT NULL, cancelled bigint NOT NULL, total_minor numeric NOT NULL,
    PRIMARY KEY (customer_id, day, currency)
);
CREATE TABLE placed (order_id text PRIMARY KEY, customer_id text, day date, currency text, total_minor bigint);
