-- $1 log, :schema the read model's: another log whose events are in it, if there is one
SELECT log FROM :schema.checkpoints WHERE log <> $1 LIMIT 1
