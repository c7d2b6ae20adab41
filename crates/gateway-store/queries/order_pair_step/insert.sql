INSERT INTO order_pair_step (pair_id, at, state, by, reason)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (pair_id, at, state) DO NOTHING
