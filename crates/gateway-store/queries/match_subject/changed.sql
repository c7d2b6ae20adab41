-- What is said first-hand of the orders that changed: each acceptance of a channel's own, with its fields only where what is compared may be another now.
SELECT
    wanted.feed_seq, wanted.id, COALESCE(a.lead_id, wanted.id), m.channel, m.at,
    CASE
        WHEN
            m.channel = f.channel AND m.part = f.part AND m.content_hash = f.content_hash
            AND m.lead_id = COALESCE(a.lead_id, wanted.id)
            THEN NULL
        ELSE m.subject
    END,
    f.channel, f.part, f.content_hash, f.event_time,
    CASE
        WHEN
            m.channel = f.channel AND m.part = f.part AND m.content_hash = f.content_hash
            AND m.lead_id = COALESCE(a.lead_id, wanted.id)
            THEN NULL
        ELSE f.fields
    END,
    p.fields
FROM (SELECT c.feed_seq, c.id FROM work_order AS c WHERE c.feed_seq > $1 ORDER BY c.feed_seq LIMIT $2) AS wanted
LEFT JOIN order_alias AS a ON a.order_id = wanted.id
LEFT JOIN match_subject AS m ON m.order_id = wanted.id
LEFT JOIN facet AS f ON f.order_id = wanted.id AND f.dataset = 'acceptance' AND f.echo = 0 AND f.gone_at IS NULL
LEFT JOIN work_order_person AS p
    ON
        p.order_id = f.order_id AND p.channel = f.channel AND p.dataset = f.dataset AND p.part = f.part
        AND (
            m.order_id IS NULL OR m.channel <> f.channel OR m.part <> f.part OR m.content_hash <> f.content_hash
            OR m.lead_id <> COALESCE(a.lead_id, wanted.id)
        )
ORDER BY wanted.feed_seq
