SELECT channel, started_at, ended_at, kind, in_step, calls, bytes, vanished
FROM comparison
WHERE channel = $1 AND kind = $2
ORDER BY started_at DESC, id DESC
LIMIT 1
