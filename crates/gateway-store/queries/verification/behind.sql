SELECT v.order_id, v.channel, v.raw_id, v.subject, v.result, v.registry_seq, v.at, v.looked_up, v.look_up_at, o.state
FROM verification AS v
JOIN work_order AS o ON o.id = v.order_id
WHERE v.registry_seq < (SELECT coalesce(max(seq), 0) FROM registry_import)
ORDER BY v.registry_seq, v.order_id
LIMIT $1
