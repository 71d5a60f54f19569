-- $1..$6 per command: ids, types, outcomes, codes, messages, metadata (JSON texts)
-- $7, $8 per stream: ids, partitions
-- $9..$13 per check: command, stream (from 1), expected version (-1 any, -2 exists), events, and events of the batch before
-- those
-- $14..$17 per event: check (from 1), ids, types, data (JSON texts)
SELECT * FROM append($1, $2, $3, $4, $5, $6::text[]::jsonb[], $7, $8, $9, $10, $11, $12, $13,
                     $14, $15, $16, $17::text[]::jsonb[])
