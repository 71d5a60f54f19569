-- $1 since, $2 paused_by, $3 reason
INSERT INTO projector_pause (since, paused_by, reason) VALUES ($1, $2, $3)
