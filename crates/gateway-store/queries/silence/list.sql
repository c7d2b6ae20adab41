SELECT id, code, channel, subject, starts_at, ends_at, reason, made_by, created_at, ended_by
FROM silence
WHERE id > $1
ORDER BY id
LIMIT $2
