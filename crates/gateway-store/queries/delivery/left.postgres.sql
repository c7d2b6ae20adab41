SELECT
    d.id, d.order_id, d.destination, d.from_channel, d.operation, d.dataset, d.part, d.round, d.raw_id,
    d.command_id, d.state, d.generation, d.attempts, d.unanswered, d.next_attempt_at, d.created_at,
    d.first_sent_at, d.last_attempt_ended_at, d.item, d.projection_version, d.ask_by, d.receipt,
    d.reason_code, d.reason
FROM delivery AS d
WHERE d.state IN ('held', 'rejected', 'dead_lettered')
    AND d.id > $1
    AND (CAST($2 AS text) IS NULL OR d.destination = CAST($2 AS text))
ORDER BY d.id
LIMIT $3
