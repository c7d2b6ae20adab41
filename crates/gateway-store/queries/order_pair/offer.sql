INSERT INTO order_pair (id, order_a, order_b, state, by, reason, score, likeness, pending, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, by = excluded.by, reason = excluded.reason, score = excluded.score,
    likeness = excluded.likeness
WHERE order_pair.state IN ('candidate', 'withdrawn')
