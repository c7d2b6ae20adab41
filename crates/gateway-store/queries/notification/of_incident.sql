SELECT id, key, notifier, summary, items, state, created_at, due_at, attempts, error, ended_at
FROM notification
WHERE id IN (SELECT notification_id FROM notification_incident WHERE incident_id = $1)
ORDER BY id DESC
LIMIT $2
