SELECT b.channel, b.dataset, b.projection_version, b.grain, b.start_at, b.side, b.count, b.sum
FROM UNNEST($1, $2, $3, $4, $5, $6) AS wanted (channel, dataset, projection_version, grain, start_at, side)
JOIN book_bucket AS b
    ON b.channel = wanted.channel
    AND b.dataset = wanted.dataset
    AND b.projection_version = wanted.projection_version
    AND b.grain = wanted.grain
    AND b.start_at = wanted.start_at
    AND b.side = wanted.side
