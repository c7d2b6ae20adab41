SELECT coalesce((SELECT fetch_at FROM attachment WHERE channel = $1 AND fetch_at <= $2 LIMIT 1), 0)
