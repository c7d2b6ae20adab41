SELECT p.order_a, p.order_b, p.state, p.by, p.reason, p.score, p.likeness, p.pending, p.at
FROM order_pair AS p
WHERE p.order_a = ANY ($1) AND p.order_b = ANY ($1)
