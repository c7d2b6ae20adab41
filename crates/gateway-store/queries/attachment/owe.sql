INSERT INTO attachment (
    id, order_id, channel, reference, raw_id, state, digest, size_bytes, media_type, attempts, error, owed_at, fetched_at, fetch_at
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    raw_id = excluded.raw_id,
    state = CASE WHEN attachment.state = 'withdrawn' THEN excluded.state ELSE attachment.state END,
    attempts = CASE WHEN attachment.state = 'withdrawn' THEN 0 ELSE attachment.attempts END,
    owed_at = CASE WHEN attachment.state = 'withdrawn' THEN excluded.owed_at ELSE attachment.owed_at END,
    fetch_at = CASE WHEN attachment.state = 'withdrawn' THEN excluded.fetch_at ELSE attachment.fetch_at END
