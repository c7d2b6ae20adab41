DELETE FROM notification_incident
WHERE notification_id IN (SELECT id FROM notification WHERE ended_at < $1)
