SELECT d.id, d.order_id, d.destination, d.state, d.generation
FROM json_each($1) AS wanted
CROSS JOIN delivery AS d ON d.id = wanted.value
