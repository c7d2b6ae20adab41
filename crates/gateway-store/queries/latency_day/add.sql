INSERT INTO latency_day (channel, leg, day, bucket, count, max_ms)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, leg, day, bucket) DO UPDATE SET
    count = latency_day.count + excluded.count,
    max_ms = max(latency_day.max_ms, excluded.max_ms)
