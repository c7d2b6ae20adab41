SELECT p.order_a, p.order_b, p.state, p.by, p.reason, p.score, p.likeness, p.pending, p.at
FROM order_pair AS p
WHERE p.state = $1 AND (p.at, p.id) > (
    coalesce((SELECT l.at FROM order_pair AS l WHERE l.id = $2), -9000000000000000),
    coalesce((SELECT l.id FROM order_pair AS l WHERE l.id = $2), '')
)
ORDER BY p.at, p.id
LIMIT $3
