INSERT INTO archived_offset (topic, partition, first_offset, end_offset, month)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (topic, partition, first_offset, month)
DO UPDATE SET end_offset = greatest(archived_offset.end_offset, excluded.end_offset)
