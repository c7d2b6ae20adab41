-- Below nothing is only what a clock that was set back left behind.
SELECT d.dataset, d.day, d.state, CAST(sum(d.deliveries) AS BIGINT), CAST(greatest(sum(d.sent), 0) AS BIGINT)
FROM UNNEST($5) AS wanted (value)
JOIN delivery_day AS d
    ON d.destination = $1 AND d.dataset = wanted.value AND d.day >= $2 AND d.day < $3 AND d.as_of_day <= $4
GROUP BY d.dataset, d.day, d.state
HAVING sum(d.deliveries) > 0
ORDER BY d.dataset, d.day, d.state
