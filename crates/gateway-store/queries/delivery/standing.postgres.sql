SELECT d.id, d.order_id, d.destination, d.state, d.generation
FROM delivery AS d
WHERE d.id = ANY ($1)
