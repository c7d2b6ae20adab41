SELECT min(event_at) FROM book_item WHERE channel = $1 AND dataset = $2 AND event_at >= $3
