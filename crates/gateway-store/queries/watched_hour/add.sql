INSERT INTO watched_hour (hour_at, watched_ms)
VALUES (?, ?)
ON CONFLICT (hour_at) DO UPDATE SET watched_ms = CASE
    WHEN watched_hour.watched_ms + excluded.watched_ms < 3600000 THEN watched_hour.watched_ms + excluded.watched_ms
    ELSE 3600000
END
