INSERT INTO arrival_hour (channel, hour_at, records)
VALUES (?, ?, ?)
ON CONFLICT (channel, hour_at) DO UPDATE SET records = arrival_hour.records + excluded.records
