SELECT id, key, notifier, summary, items, state, created_at, due_at, attempts, error, ended_at
FROM notification
WHERE notifier = $1 AND state = 'owed'
ORDER BY id
LIMIT $2
