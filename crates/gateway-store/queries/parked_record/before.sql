SELECT p.number, p.since, r.id, r.channel, r.origin, r.number, r.received_at, r.read_at, r.topic, r.partition, r.bus_offset, r.body
FROM parked_record AS p
JOIN raw_record AS r ON r.id = p.raw_id
WHERE p.since < $1
ORDER BY p.since, p.raw_id
LIMIT $2
