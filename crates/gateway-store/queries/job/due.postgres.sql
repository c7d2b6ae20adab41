-- What another claims at this moment is left to it.
SELECT id, kind, channel, subject, reason, requested, failures
FROM job
WHERE kind = $1 AND channel = $2 AND due_at <= $3
ORDER BY due_at, id
LIMIT $4
FOR UPDATE SKIP LOCKED
