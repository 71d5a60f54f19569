-- $1 reason; :schema the read model's. Adds no row when the projector is paused already.
INSERT INTO :schema.projector_pause (reason) VALUES ($1) ON CONFLICT DO NOTHING
