UPDATE attachment SET fetch_at = $3
WHERE id IN (SELECT id FROM attachment WHERE channel = $1 AND fetch_at <= $2 ORDER BY fetch_at, id LIMIT $4)
RETURNING id, order_id, channel, reference, raw_id, state, digest, size_bytes, media_type, attempts, error, owed_at, fetched_at, fetch_at
