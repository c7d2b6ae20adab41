SELECT topic, partition, next_offset FROM flow_position ORDER BY topic, partition
