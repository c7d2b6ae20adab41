SELECT p.order_id, p.channel, p.dataset, p.part, p.fields, p.key_id
FROM work_order_person AS p
WHERE p.order_id = ANY ($1)
