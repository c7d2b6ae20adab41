UPDATE dead_letter
SET state = $2, settled_reason = $3, settled_at = $4
WHERE id = ANY ($1) AND state = 'open'
