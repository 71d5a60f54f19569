-- $1 partition
DELETE FROM :log.halts WHERE partition = $1
