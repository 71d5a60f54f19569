-- $1..$6 per command: ids, types, outcomes, codes, messages, metadata (JSON texts)
-- $7..$11 per stream: ids, partitions, versions, events of the batch, events of the batch in its partition up to its own
-- last
-- $12..$15 per check: command, stream (from 1), version after it, events of the batch in the partition up to its last
-- $16..$22 per event: command, stream (from 1), version, events of the batch in the partition up to it, ids, types, data
-- (JSON texts)
SELECT * FROM append_sound($1, $2, $3, $4, $5, $6::text[]::jsonb[], $7, $8, $9, $10, $11, $12, $13, $14, $15,
                           $16, $17, $18, $19, $20, $21, $22::text[]::jsonb[])
