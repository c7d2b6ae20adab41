UPDATE job
SET due_at = $2, claimed_requested = requested
WHERE id IN (SELECT value FROM json_each($1))
