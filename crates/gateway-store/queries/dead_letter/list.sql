SELECT id, raw_id, channel, number, code, reason, state, at, settled_at, settled_reason
FROM dead_letter
WHERE id > $1 AND ($2 IS NULL OR channel = $2)
ORDER BY id
LIMIT $3
