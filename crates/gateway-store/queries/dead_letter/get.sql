SELECT id, raw_id, channel, number, code, reason, state, at, settled_at, settled_reason
FROM dead_letter
WHERE id = $1
