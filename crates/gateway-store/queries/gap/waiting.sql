SELECT channel, kind, state, count(*), min(coalesce(opened_at, first_seen_at))
FROM gap
WHERE state IN ('open', 'repairing')
GROUP BY channel, kind, state
ORDER BY channel, kind, state
