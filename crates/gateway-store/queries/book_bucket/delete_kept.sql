DELETE FROM book_bucket
WHERE channel = $1
    AND dataset = $2
    AND start_at >= $3
    AND start_at < $4
    AND projection_version IN (SELECT value FROM json_each($5))
    AND grain IN (SELECT value FROM json_each($6))
