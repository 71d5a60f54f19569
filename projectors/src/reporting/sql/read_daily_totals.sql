SELECT day, currency, credits_minor::text, debits_minor::text, entries FROM reporting.daily_totals
