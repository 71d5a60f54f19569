-- $1 stream ids. The last version of each stream that exists, and its position.
SELECT wanted.stream_id, e.version, e.position
  FROM unnest($1::text[]) AS wanted(stream_id)
 CROSS JOIN LATERAL (
        SELECT version, position
          FROM :log.events
         WHERE stream_id = wanted.stream_id COLLATE "C"
         ORDER BY version DESC
         LIMIT 1
       ) AS e
