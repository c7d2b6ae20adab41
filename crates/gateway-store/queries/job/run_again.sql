-- What was asked for again while it ran.
UPDATE job
SET due_at = run_at, claimed_requested = NULL, failures = 0
WHERE id IN (SELECT value ->> 0 FROM json_each($1))
