INSERT INTO book_item
    (channel, dataset, number, day, part, side, projection_version, event_time, event_at, date_only, digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, dataset, number, day, part) DO UPDATE SET
    side = excluded.side,
    projection_version = excluded.projection_version,
    event_time = excluded.event_time,
    event_at = excluded.event_at,
    date_only = excluded.date_only,
    digest = excluded.digest
