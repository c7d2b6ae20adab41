INSERT INTO raw_record
    (id, channel, origin, number, received_at, read_at, topic, partition, bus_offset, key_id, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
