-- Run by the Postgres image when it makes its data: the registry keeps its schemas beside Millrace's database, because
-- the records in Kafka refer to them by id.
CREATE DATABASE registry OWNER millrace;
