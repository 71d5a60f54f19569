-- $1 stream types. How many streams there are of each other type.
SELECT type, count(*) FROM :log.streams WHERE type <> ALL ($1) GROUP BY type ORDER BY type
