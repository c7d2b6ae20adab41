SELECT b.projection_version, b.grain, b.start_at, b.side, b.count, b.sum
FROM json_each($5) AS versions
CROSS JOIN json_each($6) AS grains
CROSS JOIN book_bucket AS b
    ON b.channel = $1
    AND b.dataset = $2
    AND b.projection_version = versions.value
    AND b.grain = grains.value
    AND b.start_at >= $3
    AND b.start_at < $4
