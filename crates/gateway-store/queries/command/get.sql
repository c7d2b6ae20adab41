SELECT id, order_id, operation, round, state, reason, raw_id, at FROM command WHERE id = $1
