SELECT start_at, count, sum
FROM book_bucket
WHERE channel = $1 AND dataset = $2 AND projection_version = $3 AND grain = $4 AND start_at >= $5 AND start_at < $6
ORDER BY start_at
