SELECT coalesce(max(feed_seq), 0) FROM match_position
