INSERT INTO delivery
    (id, order_id, destination, from_channel, operation, dataset, part, round, raw_id, command_id, state,
     generation, attempts, unanswered, next_attempt_at, created_at, first_sent_at, last_attempt_ended_at,
     item_number, item, projection_version, ask_by, receipt, reason_code, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state,
    generation = excluded.generation,
    attempts = excluded.attempts,
    unanswered = excluded.unanswered,
    next_attempt_at = excluded.next_attempt_at,
    first_sent_at = excluded.first_sent_at,
    last_attempt_ended_at = excluded.last_attempt_ended_at,
    item_number = excluded.item_number,
    item = excluded.item,
    projection_version = excluded.projection_version,
    ask_by = excluded.ask_by,
    receipt = excluded.receipt,
    reason_code = excluded.reason_code,
    reason = excluded.reason
