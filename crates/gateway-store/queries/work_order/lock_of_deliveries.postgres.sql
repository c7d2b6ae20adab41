SELECT o.id
FROM work_order AS o
WHERE o.id IN (SELECT d.order_id FROM delivery AS d WHERE d.id = ANY ($1))
ORDER BY o.id
FOR NO KEY UPDATE
