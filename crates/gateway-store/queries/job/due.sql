SELECT id, kind, channel, subject, reason, requested, failures
FROM job
WHERE kind = $1
    AND channel = $2
    AND ((claimed_until IS NULL AND run_at <= $3) OR claimed_until <= $3)
ORDER BY run_at, id
LIMIT $4
