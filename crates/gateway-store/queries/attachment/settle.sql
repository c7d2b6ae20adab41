INSERT INTO attachment (
    id, order_id, channel, reference, raw_id, state, digest, size_bytes, media_type, attempts, error, owed_at, fetched_at, fetch_at
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, digest = excluded.digest, size_bytes = excluded.size_bytes, media_type = excluded.media_type,
    attempts = excluded.attempts, error = excluded.error, fetched_at = excluded.fetched_at, fetch_at = excluded.fetch_at
WHERE attachment.state = 'owed' AND attachment.attempts + 1 = excluded.attempts
