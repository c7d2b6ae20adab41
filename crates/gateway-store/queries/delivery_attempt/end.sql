INSERT INTO delivery_attempt (delivery_id, generation, attempt, started_at, ended_at, outcome, reason_code)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (delivery_id, generation, attempt) DO UPDATE SET
    ended_at = excluded.ended_at,
    outcome = excluded.outcome,
    reason_code = excluded.reason_code
    WHERE delivery_attempt.ended_at IS NULL
