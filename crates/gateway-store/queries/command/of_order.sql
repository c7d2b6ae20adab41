SELECT id, order_id, operation, round, state, reason, raw_id, at FROM command WHERE order_id = $1 ORDER BY at, id
