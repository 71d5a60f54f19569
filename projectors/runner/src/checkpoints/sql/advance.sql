-- $1 log, $2 partitions integer[], $3 from bigint[], $4 to bigint[]
-- Moves each checkpoint that still stands where it is thought to; another instance that moved it first wins.
UPDATE checkpoints
   SET position = move.reached
  FROM unnest($2::integer[], $3::bigint[], $4::bigint[]) AS move (partition, stood, reached)
 WHERE checkpoints.log = $1
   AND checkpoints.partition = move.partition
   AND checkpoints.position = move.stood
