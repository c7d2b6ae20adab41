INSERT INTO silence (code, channel, subject, starts_at, ends_at, reason, made_by, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING id
