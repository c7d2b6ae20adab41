DELETE FROM silence WHERE ends_at < $1
