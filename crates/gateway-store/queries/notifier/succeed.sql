INSERT INTO notifier (id, sent_at, failures)
VALUES ($1, $2, 0)
ON CONFLICT (id) DO UPDATE SET sent_at = excluded.sent_at, failing_since = NULL, failures = 0, error = NULL
