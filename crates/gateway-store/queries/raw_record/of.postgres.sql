SELECT r.id, r.channel, r.origin, r.number, r.received_at, r.read_at, r.topic, r.partition, r.bus_offset, r.body
FROM raw_record AS r
WHERE r.id = ANY ($1)
