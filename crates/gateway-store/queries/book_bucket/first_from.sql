-- By version and grain, so that each is one step into the key.
SELECT min((
    SELECT min(b.start_at)
    FROM book_bucket AS b
    WHERE b.channel = $1
        AND b.dataset = $2
        AND b.projection_version = versions.value
        AND b.grain = grains.value
        AND b.start_at >= $3
))
FROM json_each($4) AS versions
CROSS JOIN json_each($5) AS grains
