SELECT id, channel, direction, opened_at, last_opened_at, ended_at
FROM gap_group
WHERE id > $1 AND ($2 IS NULL OR channel = $2) AND ended_at IS NULL
ORDER BY id
LIMIT $3
