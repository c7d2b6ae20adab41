SELECT a.dataset, a.day, a.count, a.sum, a.as_of
FROM UNNEST($5) AS wanted (value)
JOIN account_day AS a
    ON a.channel = $1 AND a.dataset = wanted.value AND a.day >= $2 AND a.day < $3 AND a.as_of_day <= $4
WHERE NOT EXISTS (
    SELECT 1
    FROM account_day AS later
    WHERE later.channel = a.channel
        AND later.dataset = a.dataset
        AND later.day = a.day
        AND later.as_of_day > a.as_of_day
        AND later.as_of_day <= $4
)
ORDER BY a.dataset, a.day
