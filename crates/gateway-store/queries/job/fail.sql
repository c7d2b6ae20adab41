UPDATE job
SET claimed_until = NULL, claimed_requested = NULL, failures = failures + 1, reason = $2, run_at = $3
WHERE id = $1
