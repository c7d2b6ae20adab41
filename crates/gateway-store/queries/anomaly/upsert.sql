INSERT INTO anomaly (channel, kind, subject, slot, order_id, raw_id, at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, kind, subject, slot)
    DO UPDATE SET order_id = excluded.order_id, raw_id = excluded.raw_id, at = excluded.at
