INSERT INTO account_day (channel, dataset, day, as_of_day, count, sum, as_of)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, dataset, day, as_of_day)
    DO UPDATE SET count = excluded.count, sum = excluded.sum, as_of = excluded.as_of
