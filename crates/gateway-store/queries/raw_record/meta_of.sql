SELECT r.id, r.channel, r.origin, r.number, r.received_at, r.read_at, r.topic, r.partition, r.bus_offset, NULL
FROM json_each($1) AS wanted
CROSS JOIN raw_record AS r ON r.id = wanted.value
ORDER BY r.id
