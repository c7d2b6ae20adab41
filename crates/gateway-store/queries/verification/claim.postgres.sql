UPDATE verification AS v SET look_up_at = $3
FROM (
    SELECT order_id, channel FROM verification WHERE look_up_at <= $1 ORDER BY look_up_at, order_id, channel LIMIT $2
    FOR UPDATE SKIP LOCKED
) AS owed
WHERE v.order_id = owed.order_id AND v.channel = owed.channel
RETURNING v.order_id, v.channel, v.raw_id, v.subject, v.result, v.registry_seq, v.at, v.looked_up, v.look_up_at
