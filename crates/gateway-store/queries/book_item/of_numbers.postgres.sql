-- Channel and dataset as in of.postgres.sql.
SELECT b.dataset, b.number, b.day, b.part, b.side, b.projection_version, b.event_time, b.digest
FROM UNNEST($3) AS wanted (value)
JOIN book_item AS b ON b.channel || '' = $1 AND b.dataset || '' = $2 AND b.number = wanted.value
ORDER BY b.event_at, b.number, b.day, b.part
