INSERT INTO work_order (id, seq, feed_seq, created_at, changed_at, state, round, fields, conflicts)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    seq = excluded.seq,
    feed_seq = excluded.feed_seq,
    created_at = excluded.created_at,
    changed_at = excluded.changed_at,
    state = excluded.state,
    round = excluded.round,
    fields = excluded.fields,
    conflicts = excluded.conflicts
