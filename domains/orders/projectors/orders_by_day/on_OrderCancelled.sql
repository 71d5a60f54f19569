UPDATE totals AS t SET cancelled = t.cancelled + c.orders, total_minor = t.total_minor - c.total_minor
  FROM (SELECT customer_id, day, currency, count(*) AS orders, sum(total_minor) AS total_minor
          FROM batch JOIN placed USING (order_id) GROUP BY 1, 2, 3) AS c
 WHERE (t.customer_id, t.day, t.currency) = (c.customer_id, c.day, c.currency)
