INSERT INTO flow_position (topic, partition, next_offset)
VALUES (?, ?, ?)
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
    WHERE excluded.next_offset > flow_position.next_offset
