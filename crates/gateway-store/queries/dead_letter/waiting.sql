SELECT channel, count(*), sum(at < $1), min(at)
FROM dead_letter
WHERE state = 'open'
GROUP BY channel
ORDER BY channel
