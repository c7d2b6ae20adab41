SELECT
    e.order_id, e.channel, e.dataset, e.part, e.revision, e.event_time, e.digest, e.content_hash, e.echo,
    e.fields, e.read_at, e.received_at, e.raw_id, e.gone_at
FROM order_event AS e
WHERE e.order_id = ANY ($1)
