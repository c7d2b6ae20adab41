-- A job asked for the first time while it runs is due when that request says; otherwise the earlier time counts.
INSERT INTO job (kind, channel, subject, reason, run_at, due_at, requested, failures)
VALUES (?, ?, ?, ?, ?, ?, 1, 0)
ON CONFLICT (kind, channel, subject) DO UPDATE SET
    reason = excluded.reason,
    run_at = CASE
        WHEN job.requested = job.claimed_requested THEN excluded.run_at
        ELSE CASE WHEN job.run_at < excluded.run_at THEN job.run_at ELSE excluded.run_at END
    END,
    due_at = CASE
        WHEN job.claimed_requested IS NULL THEN CASE WHEN job.due_at < excluded.due_at THEN job.due_at ELSE excluded.due_at END
        ELSE job.due_at
    END,
    requested = job.requested + 1
