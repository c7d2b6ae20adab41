-- Who acknowledged it is a person's word, given meanwhile or not: a round never overwrites it.
INSERT INTO incident
    (id, found_by, code, channel, subject, state, severity, count, facts, since, first_seen_at, last_seen_at, absent_since, opened_at,
    resolved_at, escalation, escalated_at, told, unsettled)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    found_by = excluded.found_by,
    state = excluded.state,
    severity = excluded.severity,
    count = excluded.count,
    facts = excluded.facts,
    since = excluded.since,
    last_seen_at = excluded.last_seen_at,
    absent_since = excluded.absent_since,
    opened_at = excluded.opened_at,
    resolved_at = excluded.resolved_at,
    escalation = excluded.escalation,
    escalated_at = excluded.escalated_at,
    told = excluded.told,
    unsettled = excluded.unsettled
