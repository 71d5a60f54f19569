-- The Postgres image runs this when it initialises its data. The registry keeps its schemas beside Millrace's database,
-- because the records in Kafka refer to them by id.
CREATE DATABASE registry OWNER millrace;
