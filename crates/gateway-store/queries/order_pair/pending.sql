SELECT p.order_a, p.order_b, p.state, p.by, p.reason, p.score, p.likeness, p.pending, p.at FROM order_pair AS p WHERE p.pending <> 0 ORDER BY p.at LIMIT $1
