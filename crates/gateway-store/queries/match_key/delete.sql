DELETE FROM match_key
WHERE (key, channel, at, order_id) IN (VALUES (?, ?, ?, ?))
