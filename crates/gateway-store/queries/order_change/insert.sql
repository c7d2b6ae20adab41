INSERT INTO order_change (order_id, seq, at, channel, dataset, part, raw_id)
VALUES (?, ?, ?, ?, ?, ?, ?)
