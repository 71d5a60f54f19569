-- {role}: name and {password}: password of the role (words and hex digits only; CREATE ROLE takes no parameters). It may create
-- databases, so that a developer, or a test, can have scratch ones.
CREATE ROLE {role} LOGIN CREATEDB PASSWORD '{password}'
