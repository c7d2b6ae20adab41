-- Orders that are not closed, by the months in which a channel last spoke of them or in which they changed. Only those that changed after a place in the
-- feed.
SELECT m.from_at, count(DISTINCT x.order_id), (array_agg(DISTINCT x.order_id::text))[1:3]
FROM (
    SELECT f.order_id, f.received_at AS at
    FROM work_order AS o
    JOIN facet AS f ON f.order_id = o.id
    WHERE o.feed_seq > $3 AND coalesce(o.state, '') NOT IN ('visited', 'archived', 'returned', 'withdrawn')
    UNION ALL
    SELECT e.order_id, e.received_at
    FROM work_order AS o
    JOIN order_event AS e ON e.order_id = o.id
    WHERE o.feed_seq > $3 AND coalesce(o.state, '') NOT IN ('visited', 'archived', 'returned', 'withdrawn')
    UNION ALL
    SELECT c.order_id, c.at
    FROM work_order AS o
    JOIN order_change AS c ON c.order_id = o.id
    WHERE o.feed_seq > $3 AND coalesce(o.state, '') NOT IN ('visited', 'archived', 'returned', 'withdrawn')
) AS x
JOIN unnest($1::bigint[], $2::bigint[]) AS m (from_at, to_at) ON x.at >= m.from_at AND x.at < m.to_at
GROUP BY m.from_at
