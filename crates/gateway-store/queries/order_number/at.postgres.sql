SELECT n.order_id, n.channel, n.number, n.day
FROM order_number AS n
WHERE n.order_id = ANY ($1) AND n.channel = $2
