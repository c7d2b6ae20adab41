SELECT
    g.group_id, g.dataset, g.kind, g.state, g.reason IS NOT NULL AND g.state = 'open', g.generation > 0, count(*),
    min(g.window_start), max(g.window_end), min(g.opened_at)
FROM json_each($1) AS wanted
CROSS JOIN gap AS g ON g.group_id = wanted.value AND g.state IN ('open', 'repairing')
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 1, 2, 3, 4, 5, 6
