-- In one order for all, so that two that want the same orders never wait for each other in a circle.
SELECT o.id FROM work_order AS o WHERE o.id = ANY ($1) ORDER BY o.id FOR NO KEY UPDATE
