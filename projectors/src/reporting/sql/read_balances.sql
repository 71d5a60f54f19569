SELECT account_id, currency, balance_minor, entries, last_posted_at, closed_at FROM reporting.account_balances
