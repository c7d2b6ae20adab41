SELECT o.id, o.seq, o.feed_seq, o.created_at, o.changed_at, o.state, o.round, o.fields, o.conflicts
FROM work_order AS o
WHERE o.id = ANY ($1)
