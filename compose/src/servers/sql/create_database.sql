-- {database}: its name, {role}: its owner (CREATE DATABASE takes no parameters)
CREATE DATABASE {database} OWNER {role}
