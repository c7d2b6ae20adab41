SELECT DISTINCT n.order_id
FROM order_number AS n
WHERE n.number = ANY ($1)
ORDER BY n.order_id
LIMIT 1000
