SELECT channel, count(*), min(since)
FROM parked_record INDEXED BY parked_record_since
WHERE since < $1
GROUP BY channel
ORDER BY channel
