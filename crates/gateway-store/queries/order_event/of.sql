SELECT
    e.order_id, e.channel, e.dataset, e.part, e.revision, e.event_time, e.digest, e.content_hash, e.echo,
    e.fields, e.read_at, e.received_at, e.raw_id, e.gone_at
FROM json_each($1) AS wanted
CROSS JOIN order_event AS e ON e.order_id = unhex(wanted.value)
