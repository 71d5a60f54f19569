WITH new AS (
    INSERT INTO placed SELECT order_id, customer_id, _recorded_at::date, currency, total_minor FROM batch
    ON CONFLICT DO NOTHING RETURNING *
)
INSERT INTO totals AS t
SELECT customer_id, day, currency, count(*), 0, sum(total_minor) FROM new GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (customer_id, day, currency) DO UPDATE
   SET orders = t.orders + excluded.orders, total_minor = t.total_minor + excluded.total_minor
