-- $1 log, $2 partitions integer[], $3 from bigint[], $4 to bigint[], $5 hashes bigint[] of the events between; and of
-- the rows of fingerprints that these events belong to: $6 partitions integer[], $7 first bigint[], $8 last bigint[],
-- $9 prints bytea[] of these events alone; $10 generation, $11 version
-- Moves each checkpoint that still stands where it is thought to; another instance that moved it first wins, and the
-- caller rolls back, as it does where another build of the read model has taken the place. Otherwise the events are added to the count, to the hash, and to the fingerprints; what a row has
-- beyond its place is of a time that was taken back, and goes.
WITH added AS (
    INSERT INTO fingerprints AS known (log, partition, first, last, prints)
    SELECT $1, * FROM unnest($6::integer[], $7::bigint[], $8::bigint[], $9::bytea[])
        ON CONFLICT (log, partition, first) DO UPDATE
       SET last = excluded.last,
           prints = substring(known.prints FOR
                              (4 * (excluded.last - excluded.first + 1))::integer - octet_length(excluded.prints))
                    || excluded.prints
)
UPDATE checkpoints
   SET position = move.reached,
       events = events + move.reached - move.stood,
       ids_hash = ids_hash # move.hash
  FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[]) AS move (partition, stood, reached, hash)
 WHERE checkpoints.log = $1
   AND checkpoints.partition = move.partition
   AND checkpoints.position = move.stood
   AND EXISTS (SELECT FROM projector_generation WHERE generation = $10 AND version = $11)
