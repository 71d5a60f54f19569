-- A table as reporting's account_balances.
CREATE SCHEMA IF NOT EXISTS ceiling;
CREATE TABLE ceiling.account_balances (LIKE reporting.account_balances INCLUDING ALL) WITH (fillfactor = 70);
