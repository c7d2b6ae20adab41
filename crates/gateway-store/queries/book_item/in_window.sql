SELECT dataset, number, day, part, side, projection_version, event_time, digest
FROM book_item
WHERE channel = $1 AND dataset = $2 AND event_at >= $3 AND event_at < $4
ORDER BY event_at, number, day, part
