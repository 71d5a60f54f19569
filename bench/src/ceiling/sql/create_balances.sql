-- A table as reporting's account_balances, with the same accounts.
CREATE SCHEMA IF NOT EXISTS ceiling;
CREATE TABLE ceiling.account_balances (LIKE reporting.account_balances INCLUDING ALL) WITH (fillfactor = 70);
INSERT INTO ceiling.account_balances SELECT * FROM reporting.account_balances;
