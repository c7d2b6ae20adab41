SELECT p.topic, p.partition, p.next_offset
FROM UNNEST($1, $2) AS wanted (topic, partition)
JOIN flow_position AS p ON p.topic = wanted.topic AND p.partition = wanted.partition
