SELECT p.order_a, p.order_b, p.state, p.by, p.reason, p.score, p.likeness, p.pending, p.at
FROM json_each($1) AS wanted
CROSS JOIN order_pair AS p ON p.order_a = unhex(wanted.value)
UNION
SELECT p.order_a, p.order_b, p.state, p.by, p.reason, p.score, p.likeness, p.pending, p.at
FROM json_each($1) AS wanted
CROSS JOIN order_pair AS p ON p.order_b = unhex(wanted.value)
