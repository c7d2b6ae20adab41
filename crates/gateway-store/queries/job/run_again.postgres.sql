-- What was asked for again while it ran.
UPDATE job
SET due_at = run_at, claimed_requested = NULL, failures = 0
WHERE id = ANY ($1)
