DELETE FROM book_bucket
WHERE channel = $1
    AND dataset = $2
    AND start_at >= $3
    AND start_at < $4
    AND projection_version = ANY ($5)
    AND grain = ANY ($6)
