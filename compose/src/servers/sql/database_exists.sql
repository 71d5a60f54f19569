-- $1: name of a database
SELECT FROM pg_database WHERE datname = $1
