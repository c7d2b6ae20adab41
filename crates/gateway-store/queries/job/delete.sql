DELETE FROM job
WHERE (id, requested) IN (SELECT value ->> 0, value ->> 1 FROM json_each($1))
