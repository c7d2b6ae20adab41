SELECT f.dataset, f.day, f.outcome, f.changes
FROM UNNEST($4) AS wanted (value)
JOIN flow_day AS f ON f.channel = $1 AND f.dataset = wanted.value AND f.day >= $2 AND f.day < $3
ORDER BY f.dataset, f.day, f.outcome
