SELECT DISTINCT n.order_id
FROM json_each($1) AS wanted
CROSS JOIN order_number AS n ON n.number = wanted.value
ORDER BY n.order_id
LIMIT 1000
