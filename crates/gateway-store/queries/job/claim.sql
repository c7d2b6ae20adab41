UPDATE job
SET claimed_until = $2, claimed_requested = requested
WHERE id IN (SELECT value FROM json_each($1))
