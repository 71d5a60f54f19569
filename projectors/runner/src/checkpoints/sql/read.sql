-- $1 log; :schema the read model's
SELECT partition, position, events, ids_hash FROM :schema.checkpoints WHERE log = $1
