INSERT INTO work_order_person (order_id, channel, dataset, part, fields, key_id)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (order_id, channel, dataset, part) DO UPDATE SET
    fields = excluded.fields,
    key_id = excluded.key_id
