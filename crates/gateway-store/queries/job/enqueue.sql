-- A job asked for the first time while it runs is due when that request says; otherwise the earlier time counts.
INSERT INTO job (kind, channel, subject, reason, run_at, due_at, requested, failures)
VALUES (?, ?, ?, ?, ?, ?, 1, 0)
ON CONFLICT (kind, channel, subject) DO UPDATE SET
    reason = excluded.reason,
    run_at = CASE
        WHEN job.requested = job.claimed_requested THEN excluded.run_at
        ELSE min(job.run_at, excluded.run_at)
    END,
    due_at = CASE
        WHEN job.claimed_requested IS NULL THEN min(job.due_at, excluded.due_at)
        ELSE job.due_at
    END,
    requested = job.requested + 1
