DELETE FROM registry_entry AS e
USING UNNEST($1, $2, $3) AS gone (kind, key, from_at)
WHERE e.kind = gone.kind AND e.key = gone.key AND e.from_at = gone.from_at
