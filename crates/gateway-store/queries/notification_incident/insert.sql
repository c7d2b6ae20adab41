INSERT INTO notification_incident (incident_id, notification_id, news)
VALUES (?, ?, ?)
ON CONFLICT (incident_id, notification_id) DO NOTHING
