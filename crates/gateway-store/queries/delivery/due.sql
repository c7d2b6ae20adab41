SELECT
    d.id, d.order_id, d.destination, d.from_channel, d.operation, d.dataset, d.part, d.round, d.raw_id,
    d.command_id, d.state, d.generation, d.attempts, d.unanswered, d.next_attempt_at, d.created_at,
    d.first_sent_at, d.last_attempt_ended_at, d.item, d.projection_version, d.ask_by, d.receipt,
    d.reason_code, d.reason,
    r.id, r.channel, r.origin, r.number, r.received_at, r.read_at, r.topic, r.partition, r.bus_offset, r.body
FROM delivery AS d
JOIN raw_record AS r ON r.id = d.raw_id
WHERE d.destination = $1
    AND d.next_attempt_at <= $2
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
LIMIT $3
