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
            AND earlier.id <> d.id
            -- A forwarded acceptance makes the order there: it goes first, though never beside one that is under way. Else the order in which they
            -- became owed.
            AND (
                earlier.state = 'sending'
                OR (CASE WHEN earlier.operation = 'forward' AND earlier.dataset = 'acceptance' THEN 0 ELSE 1 END, earlier.id)
                < (CASE WHEN d.operation = 'forward' AND d.dataset = 'acceptance' THEN 0 ELSE 1 END, d.id)
            )
            AND earlier.state IN ('owed', 'sending', 'pending', 'ambiguous', 'held')
    )
ORDER BY d.next_attempt_at, d.id
LIMIT 1
