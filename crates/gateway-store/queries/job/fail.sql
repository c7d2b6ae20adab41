UPDATE job
SET due_at = $3, run_at = $3, claimed_requested = NULL, failures = failures + 1, reason = $2
WHERE id = $1
