INSERT INTO order_event
    (order_id, channel, dataset, part, revision, event_time, digest, content_hash, echo, fields, read_at,
     received_at, raw_id, gone_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (order_id, channel, dataset, part) DO UPDATE SET
    revision = excluded.revision,
    event_time = excluded.event_time,
    digest = excluded.digest,
    content_hash = excluded.content_hash,
    echo = excluded.echo,
    fields = excluded.fields,
    read_at = excluded.read_at,
    received_at = excluded.received_at,
    raw_id = excluded.raw_id,
    gone_at = excluded.gone_at
