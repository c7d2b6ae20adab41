INSERT INTO book_day (channel, dataset, day, side, projection_version, as_of_day, count, sum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, dataset, day, side, projection_version, as_of_day)
    DO UPDATE SET count = excluded.count, sum = excluded.sum
