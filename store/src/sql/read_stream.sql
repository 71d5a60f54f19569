-- $1 stream id, $2 version to go on after, $3 most events
SELECT e.partition, e.position, e.stream_id, e.version, e.event_id, e.schema, e.data,
       e.correlation_id, e.causation_id, e.user_id, e.source, e.client_address, e.traceparent, e.recorded_at
  FROM :log.events AS e
 WHERE e.stream_id = $1 COLLATE "C" AND e.version > $2
 ORDER BY e.version
 LIMIT $3
