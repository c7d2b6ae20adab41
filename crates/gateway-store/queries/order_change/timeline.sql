SELECT c.seq, c.at, c.channel, c.dataset, c.part, c.raw_id, r.origin
FROM order_change AS c
JOIN raw_record AS r ON r.id = c.raw_id
WHERE c.order_id = $1
ORDER BY c.seq
