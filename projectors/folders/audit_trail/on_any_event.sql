INSERT INTO events
SELECT _stream_id, _version, _type, _recorded_at, _user_id, _correlation_id, _causation_id, _event_id, _partition,
       _position, _data
  FROM batch
