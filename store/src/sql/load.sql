-- $1 stream ids, $2 for each the version to go on after. Inside a stream, events come in order of version.
SELECT wanted.stream_id, e.version, e.schema, e.data, e.position
  FROM unnest($1::text[], $2::bigint[]) AS wanted(stream_id, after)
 CROSS JOIN LATERAL (
        SELECT version, schema, data, position
          FROM :log.events
         WHERE stream_id = wanted.stream_id COLLATE "C" AND version > wanted.after
         ORDER BY version
       ) AS e
