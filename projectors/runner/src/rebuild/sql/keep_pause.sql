-- :live schema of the live build, :schema that of the new one: a pause stays
LOCK TABLE :live.projector_pause IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM :schema.projector_pause;
INSERT INTO :schema.projector_pause SELECT * FROM :live.projector_pause
