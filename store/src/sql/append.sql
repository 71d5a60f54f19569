-- $1..$6 per command: ids, types, outcomes, codes, messages, metadata (JSON texts)
-- $7..$10 per stream: ids, partitions, events of the batch, events of the batch in its partition up to its own last
-- $11..$17 per check: command, stream (from 1), expected version (-1 any, -2 exists), events, and events of the batch
-- before those: in all, in the stream, in its partition
-- $18..$21 per event: check (from 1), ids, types, data (JSON texts)
SELECT * FROM append($1, $2, $3, $4, $5, $6::text[]::jsonb[], $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                     $18, $19, $20, $21::text[]::jsonb[])
