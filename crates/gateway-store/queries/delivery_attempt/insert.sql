INSERT INTO delivery_attempt (delivery_id, generation, attempt, started_at)
VALUES (?, ?, ?, ?)
