-- $1 query text, $2 max_results integer
SELECT kind, id, account_id, description, amount_minor, currency, reporting_at, rank FROM search.find($1, $2)
