SELECT b.dataset, b.day, b.side, b.count, b.sum, b.changed_at
FROM UNNEST($5) AS wanted (value)
JOIN book_day AS b
    ON b.channel = $1 AND b.dataset = wanted.value AND b.day >= $2 AND b.day < $3 AND b.as_of_day <= $4
WHERE NOT EXISTS (
    SELECT 1
    FROM book_day AS later
    WHERE later.channel = b.channel
        AND later.dataset = b.dataset
        AND later.day = b.day
        AND later.side = b.side
        AND later.projection_version = b.projection_version
        AND later.as_of_day > b.as_of_day
        AND later.as_of_day <= $4
)
ORDER BY b.dataset, b.day, b.side, b.projection_version
