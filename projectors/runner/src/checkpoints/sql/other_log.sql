-- $1 log: another log whose events are in this read model, if there is one
SELECT log FROM checkpoints WHERE log <> $1 LIMIT 1
