-- :schema the read model's
SELECT generation, version FROM :schema.projector_generation
