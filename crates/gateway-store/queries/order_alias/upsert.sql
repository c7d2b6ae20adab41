INSERT INTO order_alias (order_id, lead_id)
VALUES (?, ?)
ON CONFLICT (order_id) DO UPDATE SET lead_id = excluded.lead_id
