SELECT
    g.group_id, g.dataset, g.kind, g.state, g.reason IS NOT NULL AND g.state = 'open', g.generation > 0, count(*),
    min(g.window_start), max(g.window_end), min(g.opened_at)
FROM gap AS g
WHERE g.group_id = ANY ($1) AND g.state IN ('open', 'repairing')
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 1, 2, 3, 4, 5, 6
