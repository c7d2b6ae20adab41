SELECT DISTINCT n.order_id
FROM json_each($1) AS wanted
CROSS JOIN order_number AS n ON n.channel = wanted.value ->> 0 AND n.number = wanted.value ->> 1
