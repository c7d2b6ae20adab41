SELECT l.leg, l.day, l.bucket, l.count, l.max_ms
FROM UNNEST($4) AS wanted (value)
JOIN latency_day AS l ON l.channel = $1 AND l.leg = wanted.value AND l.day >= $2 AND l.day < $3
ORDER BY l.leg, l.day, l.bucket
