INSERT INTO match_position (id, feed_seq)
VALUES (1, $2)
ON CONFLICT (id) DO UPDATE SET feed_seq = excluded.feed_seq
WHERE match_position.feed_seq = $1
