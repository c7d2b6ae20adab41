UPDATE incident
SET acknowledged_at = $2, acknowledged_by = $3
WHERE id = $1 AND state = 'open' AND acknowledged_at IS NULL
