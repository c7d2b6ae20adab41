SELECT p.topic, p.partition, p.next_offset
FROM json_each($1) AS wanted
CROSS JOIN flow_position AS p ON p.topic = wanted.value ->> 0 AND p.partition = wanted.value ->> 1
