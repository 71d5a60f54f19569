-- {role}: name and {password}: password of the role (words and hex digits only; CREATE ROLE takes no parameters)
CREATE ROLE {role} LOGIN PASSWORD '{password}'
