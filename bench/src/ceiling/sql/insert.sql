-- $1..$10 per event: partitions, positions, stream ids, versions, ids, schemas, data, correlation ids, causation ids, sources
INSERT INTO ceiling.inserted (position, version, recorded_at, event_id, partition, schema, stream_id, data,
                              correlation_id, causation_id, source)
SELECT position, version, now(), event_id, partition, schema, stream_id, data, correlation_id, causation_id, source
  FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::bigint[], $5::uuid[], $6::smallint[], $7::bytea[],
              $8::text[], $9::text[], $10::text[])
       AS row (partition, position, stream_id, version, event_id, schema, data, correlation_id, causation_id, source)
