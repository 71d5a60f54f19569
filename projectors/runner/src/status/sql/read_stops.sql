-- $1 log; :schema the read model's
SELECT partition, position, times, reason, at FROM :schema.projector_stops WHERE log = $1
