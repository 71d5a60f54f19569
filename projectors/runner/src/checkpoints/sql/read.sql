-- $1 log; :schema the read model's
SELECT partition, position FROM :schema.checkpoints WHERE log = $1
