INSERT INTO incident_life (incident_id, channel, code, opened_at, resolved_at)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (incident_id) DO UPDATE SET resolved_at = excluded.resolved_at
