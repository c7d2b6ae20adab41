SELECT o.id
FROM work_order AS o
WHERE o.id IN (
    SELECT d.order_id
    FROM delivery AS d
    WHERE d.destination = $1
        AND d.state IN ('owed', 'sending', 'pending', 'ambiguous', 'held')
        AND d.state = 'sending'
)
ORDER BY o.id
FOR NO KEY UPDATE
