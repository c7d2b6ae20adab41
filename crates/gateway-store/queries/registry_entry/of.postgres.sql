SELECT e.kind, e.key, e.from_at, e.until_at, e.facts
FROM UNNEST($1, $2, $3, $4) AS wanted (kind, key, from_at, until_at)
JOIN registry_entry AS e
    ON e.kind = wanted.kind AND e.key = wanted.key AND e.from_at BETWEEN wanted.from_at AND wanted.until_at
