-- $1 command keys
SELECT key, hash, schema, outcome FROM :log.commands WHERE key = ANY ($1)
