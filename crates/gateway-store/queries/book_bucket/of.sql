SELECT b.channel, b.dataset, b.projection_version, b.grain, b.start_at, b.side, b.count, b.sum
FROM json_each($1) AS wanted
CROSS JOIN book_bucket AS b
    ON b.channel = wanted.value ->> 0
    AND b.dataset = wanted.value ->> 1
    AND b.projection_version = wanted.value ->> 2
    AND b.grain = wanted.value ->> 3
    AND b.start_at = wanted.value ->> 4
    AND b.side = wanted.value ->> 5
