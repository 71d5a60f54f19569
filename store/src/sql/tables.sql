-- $1 a schema's name. Whether it has the table of a log's properties, and whether it has anything but the list of
-- migrations.
SELECT coalesce(bool_or(c.relname = 'log'), false),
       coalesce(bool_or(c.relname NOT LIKE 'refinery\_schema\_history%'), false)
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = $1
