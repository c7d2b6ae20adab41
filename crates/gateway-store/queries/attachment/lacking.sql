SELECT id, order_id, channel, reference, raw_id, state, digest, size_bytes, media_type, attempts, error, owed_at, fetched_at, fetch_at
FROM attachment
WHERE channel = $1 AND id > $2 AND state IN ('owed', 'missing', 'refused') AND (state <> 'owed' OR owed_at < $3)
ORDER BY id
LIMIT $4
