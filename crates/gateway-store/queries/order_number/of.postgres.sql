SELECT n.order_id, n.channel, n.number, n.day, n.whole_read_at, n.absent_since
FROM order_number AS n
WHERE n.order_id = ANY ($1)
