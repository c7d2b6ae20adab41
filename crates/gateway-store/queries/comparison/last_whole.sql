SELECT channel, started_at, ended_at, whole, in_step, calls, bytes, vanished
FROM comparison
WHERE channel = $1 AND whole = 1
ORDER BY started_at DESC, id DESC
LIMIT 1
