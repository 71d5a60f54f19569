-- The defaults of this schema's tables, as parsed trees; NULL for an identity column.
SELECT c.relname::text, a.attname::text, d.adbin::text
  FROM pg_class AS c
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace = current_schema::regnamespace
   AND c.relkind IN ('r', 'p')
   AND NOT :of_platform
   AND (d.adbin IS NOT NULL OR a.attidentity <> '')
 ORDER BY 1, a.attnum
