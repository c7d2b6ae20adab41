INSERT INTO command (id, order_id, operation, round, state, reason, raw_id, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
