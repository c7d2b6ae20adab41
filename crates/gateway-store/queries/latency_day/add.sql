INSERT INTO latency_day (channel, leg, day, bucket, count, max_ms)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, leg, day, bucket) DO UPDATE SET
    count = latency_day.count + excluded.count,
    max_ms = CASE WHEN latency_day.max_ms > excluded.max_ms THEN latency_day.max_ms ELSE excluded.max_ms END
