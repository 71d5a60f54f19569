-- Every version of every record's schema.
SELECT number, topic, name, version, registry_id, avsc FROM :log.schemas ORDER BY number
