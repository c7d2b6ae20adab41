SELECT channel, started_at, ended_at, kind, in_step, calls, bytes, vanished
FROM comparison
WHERE channel = $1
ORDER BY id DESC
LIMIT $2
