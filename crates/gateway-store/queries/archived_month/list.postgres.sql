SELECT month, first_raw_id, last_raw_id, records, changes, bytes, taken_at, taken_by
FROM archived_month
ORDER BY month
