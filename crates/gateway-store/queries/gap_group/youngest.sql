SELECT id, last_opened_at
FROM gap_group
WHERE channel = $1 AND direction = $2
ORDER BY id DESC
LIMIT 1
