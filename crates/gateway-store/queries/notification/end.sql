UPDATE notification
SET state = $2, ended_at = $3, attempts = attempts + 1, error = $4
WHERE id = $1 AND state = 'owed'
