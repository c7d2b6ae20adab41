INSERT INTO notifier (id, failing_since, failures, error)
VALUES ($1, $2, 1, $3)
ON CONFLICT (id) DO UPDATE SET
    failing_since = coalesce(notifier.failing_since, excluded.failing_since),
    failures = notifier.failures + 1,
    error = excluded.error
