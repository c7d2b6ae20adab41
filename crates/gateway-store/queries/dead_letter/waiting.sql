SELECT channel, count(*), count(CASE WHEN at < $1 THEN 1 END), min(at)
FROM dead_letter
WHERE state = 'open'
GROUP BY channel
ORDER BY channel
