SELECT n.order_id, n.channel, n.number, n.day, n.whole_read_at, n.absent_since
FROM json_each($1) AS wanted
CROSS JOIN order_number AS n ON n.order_id = unhex(wanted.value)
