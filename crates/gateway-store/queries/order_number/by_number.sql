SELECT DISTINCT order_id
FROM order_number
WHERE number = $1 AND ($2 IS NULL OR channel = $2)
ORDER BY order_id
