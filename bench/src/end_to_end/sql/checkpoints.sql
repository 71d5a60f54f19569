-- $1 log
SELECT partition, position FROM reporting.checkpoints WHERE log = $1
