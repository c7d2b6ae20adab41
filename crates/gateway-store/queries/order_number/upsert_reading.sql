INSERT INTO order_number (channel, number, day, order_id, whole_read_at, absent_since)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, number, day) DO UPDATE SET
    whole_read_at = excluded.whole_read_at,
    absent_since = excluded.absent_since
