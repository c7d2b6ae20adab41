SELECT delivery_id, generation, attempt, started_at, ended_at, outcome, reason_code
FROM delivery_attempt
WHERE delivery_id = $1
ORDER BY generation, attempt
