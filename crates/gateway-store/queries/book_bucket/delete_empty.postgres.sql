-- By key: an index on the count would keep each change of a sum from being made in place.
DELETE FROM book_bucket AS b
USING UNNEST($1, $2, $3, $4, $5, $6) AS wanted (channel, dataset, projection_version, grain, start_at, side)
WHERE b.channel = wanted.channel
    AND b.dataset = wanted.dataset
    AND b.projection_version = wanted.projection_version
    AND b.grain = wanted.grain
    AND b.start_at = wanted.start_at
    AND b.side = wanted.side
    AND b.count = 0
