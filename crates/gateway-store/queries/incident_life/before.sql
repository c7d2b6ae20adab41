SELECT channel, code, opened_at, resolved_at
FROM incident_life
WHERE opened_at < $1 AND (resolved_at IS NULL OR resolved_at >= $2)
ORDER BY opened_at, incident_id
