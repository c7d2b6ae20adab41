DELETE FROM registry_entry
WHERE (kind, key, from_at) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1))
