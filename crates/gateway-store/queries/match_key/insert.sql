INSERT INTO match_key (key, at, order_id)
VALUES (?, ?, ?)
ON CONFLICT (key, at, order_id) DO NOTHING
