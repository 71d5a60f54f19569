-- How many commands came to each outcome.
SELECT outcome, count(*) FROM commands GROUP BY outcome
