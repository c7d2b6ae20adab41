INSERT INTO order_reference (order_id, channel, number)
VALUES (?, ?, ?)
ON CONFLICT (order_id, channel) DO UPDATE SET number = excluded.number
