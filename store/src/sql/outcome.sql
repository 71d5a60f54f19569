-- $1 command id
SELECT outcome, code, message, type, stream_ids AS outcome_stream_ids, versions AS outcome_versions,
       partitions AS outcome_partitions, positions AS outcome_positions, recorded_at
  FROM commands WHERE command_id = $1
