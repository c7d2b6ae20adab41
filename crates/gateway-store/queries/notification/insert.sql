INSERT INTO notification (id, key, notifier, summary, items, state, created_at, due_at, attempts)
VALUES (?, ?, ?, ?, ?, 'owed', ?, ?, 0)
