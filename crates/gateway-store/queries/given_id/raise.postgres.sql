INSERT INTO given_id (name, last)
VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET last = greatest(given_id.last, excluded.last)
