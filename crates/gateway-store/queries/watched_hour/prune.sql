DELETE FROM watched_hour WHERE hour_at < $1
