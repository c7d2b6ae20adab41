SELECT f.dataset, f.day, f.outcome, f.changes
FROM json_each($4) AS wanted
CROSS JOIN flow_day AS f ON f.channel = $1 AND f.dataset = wanted.value AND f.day >= $2 AND f.day < $3
ORDER BY f.dataset, f.day, f.outcome
