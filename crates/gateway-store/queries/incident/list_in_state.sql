SELECT
    id, found_by, code, channel, subject, state, severity, count, facts, since, first_seen_at, last_seen_at, absent_since, opened_at,
    resolved_at, escalation, escalated_at, told, unsettled, acknowledged_at, acknowledged_by
FROM incident
WHERE id > $1 AND ($2 IS NULL OR channel = $2) AND ($3 IS NULL OR code = $3) AND state = $5
ORDER BY id
LIMIT $4
