SELECT order_id, channel, raw_id, subject, result, registry_seq, at, looked_up, look_up_at
FROM verification
WHERE order_id = $1
ORDER BY channel
