SELECT e.kind, e.key, e.from_at, e.until_at, e.facts
FROM json_each($1) AS wanted
CROSS JOIN registry_entry AS e
    ON e.kind = wanted.value ->> 0 AND e.key = wanted.value ->> 1 AND e.from_at BETWEEN wanted.value ->> 2 AND wanted.value ->> 3
