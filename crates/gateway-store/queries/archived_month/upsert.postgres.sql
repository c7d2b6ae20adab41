-- What is attached beside an archived month joins it.
INSERT INTO archived_month AS m (month, first_raw_id, last_raw_id, records, changes, bytes, taken_at, taken_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (month) DO UPDATE SET
    first_raw_id = least(m.first_raw_id, excluded.first_raw_id),
    last_raw_id = greatest(m.last_raw_id, excluded.last_raw_id),
    records = m.records + excluded.records,
    changes = m.changes + excluded.changes,
    bytes = m.bytes + excluded.bytes,
    taken_at = excluded.taken_at,
    taken_by = excluded.taken_by
