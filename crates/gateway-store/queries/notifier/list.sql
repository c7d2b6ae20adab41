SELECT id, sent_at, failing_since, failures, error FROM notifier ORDER BY id
