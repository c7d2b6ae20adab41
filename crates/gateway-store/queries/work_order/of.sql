SELECT o.id, o.seq, o.feed_seq, o.created_at, o.changed_at, o.state, o.round, o.fields, o.conflicts
FROM json_each($1) AS wanted
CROSS JOIN work_order AS o ON o.id = unhex(wanted.value)
