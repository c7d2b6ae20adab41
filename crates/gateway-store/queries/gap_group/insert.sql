INSERT INTO gap_group (channel, direction, opened_at, last_opened_at)
VALUES ($1, $2, $3, $3)
RETURNING id
