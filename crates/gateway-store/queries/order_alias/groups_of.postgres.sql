SELECT m.order_id, m.lead_id
FROM order_alias AS m
WHERE m.lead_id IN (SELECT a.lead_id FROM order_alias AS a WHERE a.order_id = ANY ($1))
