-- $1 topic, $2 name, $3 registry id, $4 text. Does nothing if the table has the text already.
INSERT INTO :log.schemas (topic, name, version, registry_id, avsc, fingerprint)
SELECT $1, $2, coalesce((SELECT max(version) FROM :log.schemas WHERE topic = $1 AND name = $2), 0) + 1, $3, $4,
       sha256(convert_to($4, 'UTF8'))
    ON CONFLICT (topic, name, fingerprint) DO NOTHING
