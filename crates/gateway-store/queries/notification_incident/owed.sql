SELECT notification.notifier, notification_incident.incident_id
FROM notification
JOIN notification_incident ON notification_incident.notification_id = notification.id
WHERE notification.state = 'owed'
