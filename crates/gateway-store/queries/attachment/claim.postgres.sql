UPDATE attachment AS a SET fetch_at = $3
FROM (
    SELECT id FROM attachment WHERE channel = $1 AND fetch_at <= $2 ORDER BY fetch_at, id LIMIT $4
    FOR UPDATE SKIP LOCKED
) AS owed
WHERE a.id = owed.id
RETURNING a.id, a.order_id, a.channel, a.reference, a.raw_id, a.state, a.digest, a.size_bytes, a.media_type, a.attempts, a.error, a.owed_at,
    a.fetched_at, a.fetch_at
