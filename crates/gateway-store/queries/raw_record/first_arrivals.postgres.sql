-- Records as they came by themselves that told of a facet for the first time.
SELECT r.received_at, f.event_time
FROM raw_record AS r
JOIN order_number AS n ON n.channel = r.channel AND n.number = r.number
JOIN facet AS f ON f.order_id = n.order_id AND f.channel = r.channel AND f.raw_id = r.id
WHERE r.id > $2
    AND r.id <= $3
    AND r.channel = $1
    AND r.origin IN ('poll', 'webhook')
    AND NOT EXISTS (
        SELECT 1
        FROM order_change AS c
        WHERE c.order_id = f.order_id
            AND c.channel = f.channel
            AND c.dataset = f.dataset
            AND c.part = f.part
            AND c.raw_id < f.raw_id
    )
