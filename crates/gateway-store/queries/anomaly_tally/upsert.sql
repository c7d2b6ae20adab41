INSERT INTO anomaly_tally (channel, kind, subject, count, last_at)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (channel, kind, subject) DO UPDATE SET count = excluded.count, last_at = excluded.last_at
