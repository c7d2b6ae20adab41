INSERT INTO match_key (key, channel, at, order_id)
VALUES (?, ?, ?, ?)
ON CONFLICT (key, channel, at, order_id) DO NOTHING
