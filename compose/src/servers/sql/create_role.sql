-- {role}: its name, {password}: its password (words and hex digits only; CREATE ROLE takes no parameters)
-- The role may create databases, so that developers and tests can have scratch ones.
CREATE ROLE {role} LOGIN CREATEDB PASSWORD '{password}'
