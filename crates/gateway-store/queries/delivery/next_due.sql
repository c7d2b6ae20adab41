SELECT d.next_attempt_at
FROM delivery AS d
WHERE d.destination = $1
    AND d.state IN ('owed', 'sending', 'pending', 'ambiguous', 'held')
    AND d.state IN ('owed', 'pending', 'ambiguous')
    AND NOT EXISTS (
        SELECT 1
        FROM delivery AS earlier
        WHERE earlier.order_id = d.order_id
            AND earlier.destination = d.destination
            AND earlier.id < d.id
            AND earlier.state IN ('owed', 'sending', 'pending', 'ambiguous', 'held')
    )
ORDER BY d.next_attempt_at, d.id
LIMIT 1
