-- $1 state; :schema the build's
UPDATE :schema.projector_generation SET state = $1, since = now()
