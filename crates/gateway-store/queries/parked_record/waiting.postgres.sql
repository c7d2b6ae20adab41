SELECT channel, count(*), min(since)
FROM parked_record
WHERE since < $1
GROUP BY channel
ORDER BY channel
