INSERT INTO gap
    (id, channel, dataset, kind, state, number, day, part, window_start, window_end, delivery_id, theirs, ours, as_of,
    compared_at, generation, first_seen_at, opened_at, repair_started_at, ended_at, reason, decided_by, group_id, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    kind = excluded.kind,
    state = excluded.state,
    theirs = excluded.theirs,
    ours = excluded.ours,
    as_of = excluded.as_of,
    compared_at = excluded.compared_at,
    generation = excluded.generation,
    first_seen_at = excluded.first_seen_at,
    opened_at = excluded.opened_at,
    repair_started_at = excluded.repair_started_at,
    ended_at = excluded.ended_at,
    reason = excluded.reason,
    decided_by = excluded.decided_by,
    group_id = excluded.group_id
