SELECT p.order_id, p.channel, p.dataset, p.part, p.fields, p.key_id
FROM json_each($1) AS wanted
CROSS JOIN work_order_person AS p ON p.order_id = unhex(wanted.value)
