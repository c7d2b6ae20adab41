SELECT n.order_id, n.channel, n.number, n.day
FROM json_each($1) AS wanted
CROSS JOIN order_number AS n ON n.order_id = unhex(wanted.value)
