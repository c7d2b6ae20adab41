-- Below nothing is only what a clock that was set back left behind.
SELECT d.dataset, d.day, d.state, sum(d.deliveries), max(sum(d.sent), 0)
FROM json_each($5) AS wanted
CROSS JOIN delivery_day AS d
    ON d.destination = $1 AND d.dataset = wanted.value AND d.day >= $2 AND d.day < $3 AND d.as_of_day <= $4
GROUP BY d.dataset, d.day, d.state
HAVING sum(d.deliveries) > 0
ORDER BY d.dataset, d.day, d.state
