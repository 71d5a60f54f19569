-- $1 log, $2 files, $3 schemas, $4 role
INSERT INTO projector_definition (log, files, schemas, role) VALUES ($1, $2, $3, $4)
