-- :schema the projector's
SELECT id, log, files, schemas, role FROM :schema.projector_definition
