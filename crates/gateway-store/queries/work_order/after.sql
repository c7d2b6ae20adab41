SELECT id FROM work_order WHERE feed_seq > $1 ORDER BY feed_seq LIMIT $2
