SELECT
    id, found_by, code, channel, subject, state, severity, count, facts, since, first_seen_at, last_seen_at, absent_since, opened_at,
    resolved_at, escalation, escalated_at, told, unsettled, acknowledged_at, acknowledged_by
FROM incident
WHERE state <> 'resolved' OR unsettled = 1
ORDER BY id
