-- :schema the read model's
DELETE FROM :schema.projector_pause
