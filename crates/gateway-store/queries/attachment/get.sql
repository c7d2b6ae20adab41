SELECT id, order_id, channel, reference, raw_id, state, digest, size_bytes, media_type, attempts, error, owed_at, fetched_at, fetch_at
FROM attachment
WHERE id = $1
