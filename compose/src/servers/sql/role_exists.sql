-- $1: name of a role
SELECT FROM pg_roles WHERE rolname = $1
