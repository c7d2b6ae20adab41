SELECT p.number, p.since, r.id, r.channel, r.origin, r.number, r.received_at, r.read_at, r.topic, r.partition, r.bus_offset, r.body
FROM json_each($1) AS wanted
CROSS JOIN parked_record AS p ON p.channel = wanted.value ->> 0 AND p.number = wanted.value ->> 1
JOIN raw_record AS r ON r.id = p.raw_id
ORDER BY p.raw_id
