SELECT order_id, channel, raw_id, subject, result, registry_seq, at FROM verification WHERE order_id = $1 ORDER BY channel
