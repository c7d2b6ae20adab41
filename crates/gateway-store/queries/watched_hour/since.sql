SELECT hour_at, watched_ms FROM watched_hour WHERE hour_at >= $1 ORDER BY hour_at
