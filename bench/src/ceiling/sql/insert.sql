-- The columns of events, in their order; data and metadata are JSON texts.
INSERT INTO ceiling.inserted
SELECT partition, position, stream_id, version, event_id, type, 1, data, metadata, recorded_at
  FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::bigint[], $5::uuid[], $6::text[], $7::text[]::jsonb[],
              $8::text[]::jsonb[], $9::timestamptz[])
       AS row (partition, position, stream_id, version, event_id, type, data, metadata, recorded_at)
