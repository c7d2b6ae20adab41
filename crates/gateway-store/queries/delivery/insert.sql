INSERT INTO delivery
    (id, order_id, destination, from_channel, operation, dataset, part, round, raw_id, command_id, state,
     generation, attempts, unanswered, next_attempt_at, created_at, first_sent_at, last_attempt_ended_at,
     item_number, item, projection_version, ask_by, receipt, reason_code, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
