INSERT INTO book_day (channel, dataset, day, side, projection_version, as_of_day, count, sum, changed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, dataset, day, side, projection_version, as_of_day)
    DO UPDATE SET count = excluded.count, sum = excluded.sum, changed_at = excluded.changed_at
