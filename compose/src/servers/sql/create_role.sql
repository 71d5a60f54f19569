-- {role}: its name, {password}: its password (words and hex digits only; CREATE ROLE takes no parameters)
-- The role may create databases, so that developers and tests can have scratch ones, and roles, so that the statements of
-- projectors in SQL run as roles of their own.
CREATE ROLE {role} LOGIN CREATEDB CREATEROLE PASSWORD '{password}'
