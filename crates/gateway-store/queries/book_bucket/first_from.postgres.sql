-- By version and grain, so that each is one step into the key.
SELECT min((
    SELECT min(b.start_at)
    FROM book_bucket AS b
    WHERE b.channel = $1
        AND b.dataset = $2
        AND b.projection_version = wanted_version.value
        AND b.grain = wanted_grain.value
        AND b.start_at >= $3
))
FROM UNNEST($4) AS wanted_version (value)
CROSS JOIN UNNEST($5) AS wanted_grain (value)
