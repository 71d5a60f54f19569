-- $1: the role's name
SELECT FROM pg_roles WHERE rolname = $1
