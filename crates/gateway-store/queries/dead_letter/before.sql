-- A letter that was settled is as it was until then.
SELECT code, at, settled_at
FROM dead_letter
WHERE channel = $1 AND at < $2 AND (settled_at IS NULL OR settled_at >= $3)
ORDER BY id
