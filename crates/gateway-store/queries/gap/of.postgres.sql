SELECT
    id, channel, dataset, kind, state, number, day, part, window_start, window_end, delivery_id, theirs, ours, as_of,
    compared_at, generation, first_seen_at, opened_at, repair_started_at, ended_at, reason, decided_by,
    group_id, detail
FROM gap
WHERE id = ANY ($1)
ORDER BY id
