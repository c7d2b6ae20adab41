INSERT INTO account_span (channel, dataset, from_day, to_day, as_of_day, as_of, compared_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, dataset, from_day, to_day, as_of_day)
    DO UPDATE SET as_of = excluded.as_of, compared_at = excluded.compared_at
