SELECT p.number, p.since, r.id, r.channel, r.origin, r.number, r.received_at, r.read_at, r.topic, r.partition, r.bus_offset, r.body
FROM UNNEST($1, $2) AS wanted (channel, number)
JOIN parked_record AS p ON p.channel = wanted.channel AND p.number = wanted.number
JOIN raw_record AS r ON r.id = p.raw_id
ORDER BY p.raw_id
