WITH fields AS (
    SELECT DISTINCT ON (_stream_id, field.key) _stream_id, field.key, field.value
      FROM batch CROSS JOIN jsonb_each(_data) AS field
     ORDER BY _stream_id, field.key, _version DESC
), states AS (
    SELECT _stream_id, jsonb_object_agg(key, value) AS state FROM fields GROUP BY _stream_id
), last AS (
    SELECT DISTINCT ON (_stream_id) * FROM batch ORDER BY _stream_id, _version DESC
)
INSERT INTO streams AS s
SELECT _stream_id, split_part(_stream_id, '-', 1), _version, _type, _recorded_at, _user_id, coalesce(state, '{}')
  FROM last LEFT JOIN states USING (_stream_id)
 ORDER BY _stream_id
ON CONFLICT (stream_id) DO UPDATE
   SET version = excluded.version, last_type = excluded.last_type, changed_at = excluded.changed_at,
       changed_by = excluded.changed_by, state = s.state || excluded.state
