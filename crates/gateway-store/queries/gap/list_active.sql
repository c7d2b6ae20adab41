SELECT
    id, channel, dataset, kind, state, number, day, part, window_start, window_end, delivery_id, theirs, ours, as_of,
    compared_at, generation, first_seen_at, opened_at, repair_started_at, ended_at, reason, decided_by,
    group_id, detail
FROM gap
WHERE channel = $1 AND id > $2 AND state IN ('suspected', 'open', 'repairing')
ORDER BY id
LIMIT $3
