SELECT b.projection_version, b.grain, b.start_at, b.side, b.count, b.sum
FROM UNNEST($5) AS wanted_version (value)
CROSS JOIN UNNEST($6) AS wanted_grain (value)
JOIN book_bucket AS b
    ON b.channel = $1
    AND b.dataset = $2
    AND b.projection_version = wanted_version.value
    AND b.grain = wanted_grain.value
    AND b.start_at >= $3
    AND b.start_at < $4
