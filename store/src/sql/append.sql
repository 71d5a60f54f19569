-- $1..$3 per partition: numbers, and the heads that the writer knows: positions, event ids
-- $4..$6 per command: keys, hashes, outcomes without their last field; $7 the outcomes' schema
-- $8, $9 per partition of the command topic: numbers, next offsets
-- $10, $11 the same of earlier appends
-- $12..$24 per event: partitions, positions, stream ids, versions, ids, schemas, data, correlation ids, causation ids,
-- user ids, sources, client addresses, traceparents
SELECT * FROM :log.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                          $22, $23, $24)
