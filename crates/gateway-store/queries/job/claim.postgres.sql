UPDATE job
SET due_at = $2, claimed_requested = requested
WHERE id = ANY ($1)
