-- $1: the database's name
SELECT FROM pg_database WHERE datname = $1
