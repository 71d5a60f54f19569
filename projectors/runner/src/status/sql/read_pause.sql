-- :schema the read model's
SELECT since, paused_by, reason FROM :schema.projector_pause
