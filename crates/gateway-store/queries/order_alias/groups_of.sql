SELECT m.order_id, m.lead_id
FROM order_alias AS m
WHERE m.lead_id IN (
    SELECT a.lead_id FROM json_each($1) AS wanted CROSS JOIN order_alias AS a ON a.order_id = unhex(wanted.value)
)
