-- :table the projector's definition
SELECT id, log, files, schemas, role FROM :table
