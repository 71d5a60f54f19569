-- Tables like the log's events, for plain inserts: the same columns, one partition, the same indexes, and nothing else.
-- :log the log's schema
CREATE SCHEMA ceiling;
CREATE TABLE ceiling.inserted (LIKE :log.events) PARTITION BY RANGE (recorded_at);
CREATE TABLE ceiling.inserted_ever PARTITION OF ceiling.inserted FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
CREATE UNIQUE INDEX ON ceiling.inserted_ever (partition, position);
CREATE UNIQUE INDEX ON ceiling.inserted_ever (stream_id, version);
CREATE TABLE ceiling.copied (LIKE :log.events) PARTITION BY RANGE (recorded_at);
CREATE TABLE ceiling.copied_ever PARTITION OF ceiling.copied FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
CREATE UNIQUE INDEX ON ceiling.copied_ever (partition, position);
CREATE UNIQUE INDEX ON ceiling.copied_ever (stream_id, version);
