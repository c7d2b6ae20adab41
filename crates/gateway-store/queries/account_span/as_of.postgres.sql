SELECT s.dataset, s.from_day, s.to_day, s.as_of, s.compared_at
FROM UNNEST($5) AS wanted (value)
JOIN account_span AS s
    ON s.channel = $1 AND s.dataset = wanted.value AND s.from_day < $3 AND s.to_day > $2 AND s.as_of_day <= $4
WHERE NOT EXISTS (
    SELECT 1
    FROM account_span AS later
    WHERE later.channel = s.channel
        AND later.dataset = s.dataset
        AND later.from_day = s.from_day
        AND later.to_day = s.to_day
        AND later.as_of_day > s.as_of_day
        AND later.as_of_day <= $4
)
ORDER BY s.dataset, s.from_day, s.to_day
