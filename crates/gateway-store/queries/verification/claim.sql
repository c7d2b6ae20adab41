UPDATE verification SET look_up_at = $3
WHERE (order_id, channel) IN (
    SELECT order_id, channel FROM verification WHERE look_up_at <= $1 ORDER BY look_up_at, order_id, channel LIMIT $2
)
RETURNING order_id, channel, raw_id, subject, result, registry_seq, at, looked_up, look_up_at
