-- As the embedded engine's, without the records: some may be archived.
SELECT
    d.id, d.order_id, d.destination, d.from_channel, d.operation, d.dataset, d.part, d.round, d.raw_id,
    d.command_id, d.state, d.generation, d.attempts, d.unanswered, d.next_attempt_at, d.created_at,
    d.first_sent_at, d.last_attempt_ended_at, d.item, d.projection_version, d.ask_by, d.receipt,
    d.reason_code, d.reason
FROM delivery AS d
WHERE d.id > $2
    AND d.id <= $3
    AND d.destination = $1
    AND d.operation = 'forward'
    AND d.created_at >= $4
    AND d.created_at < $5
    AND d.state NOT IN ('superseded', 'dead_lettered', 'waived')
    -- Of one item only what was said last; what was superseded or given up was never said.
    AND NOT EXISTS (
        SELECT 1
        FROM delivery AS later
        WHERE later.order_id = d.order_id
            AND later.destination = d.destination
            AND later.id > d.id
            AND later.id <= $3
            AND later.operation = 'forward'
            AND later.dataset = d.dataset
            AND later.part = d.part
            AND later.state NOT IN ('superseded', 'dead_lettered', 'waived')
    )
ORDER BY d.id
LIMIT $6
