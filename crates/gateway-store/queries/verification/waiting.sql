SELECT channel, count(*), count(*) FILTER (WHERE at < $1), min(at)
FROM verification
WHERE look_up_at >= 0
GROUP BY channel
ORDER BY channel
