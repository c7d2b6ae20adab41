SELECT
    f.order_id, f.channel, f.dataset, f.part, f.revision, f.revision_doubtful, f.event_time, f.digest,
    f.content_hash, f.echo, f.fields, f.unmapped, f.read_at, f.received_at, f.raw_id, f.gone_at
FROM facet AS f
WHERE f.order_id = ANY ($1)
