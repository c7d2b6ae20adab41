INSERT INTO checkpoint (channel, name, value, saved_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (channel, name) DO UPDATE SET value = excluded.value, saved_at = excluded.saved_at
