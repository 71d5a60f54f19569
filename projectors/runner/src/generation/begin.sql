-- $1 generation, $2 version, $3 state: says which build the schema that is first on the search path holds, if nothing has said so
INSERT INTO projector_generation (generation, version, state) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
