INSERT INTO order_number (channel, number, day, order_id)
VALUES (?, ?, ?, ?)
ON CONFLICT (channel, number, day) DO NOTHING
