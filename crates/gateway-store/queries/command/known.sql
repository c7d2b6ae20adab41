SELECT c.id
FROM json_each($1) AS wanted
CROSS JOIN command AS c ON c.id = unhex(wanted.value)
