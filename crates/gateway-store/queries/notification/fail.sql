UPDATE notification
SET due_at = $2, attempts = attempts + 1, error = $3
WHERE id = $1 AND state = 'owed'
