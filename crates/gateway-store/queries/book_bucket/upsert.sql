INSERT INTO book_bucket (channel, dataset, projection_version, grain, start_at, side, count, sum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, dataset, projection_version, grain, start_at, side)
    DO UPDATE SET count = excluded.count, sum = excluded.sum
