-- $1 log, $2 partition, $3 first position of the first row, $4 most rows; :schema the read model's
-- A row that somebody has shortened says nothing.
SELECT first, prints
  FROM :schema.fingerprints
 WHERE log = $1 AND partition = $2 AND first >= $3 AND octet_length(prints) = 4 * (last - first + 1)
 ORDER BY first
 LIMIT $4
