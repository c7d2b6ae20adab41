INSERT INTO node (name, holder, roles, version, key_print, started_at, seen_at, stopped_at, spool_messages, spool_oldest_at, spool, findings)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (name) DO UPDATE SET
    holder = excluded.holder, roles = excluded.roles, version = excluded.version, key_print = excluded.key_print, started_at = excluded.started_at,
    seen_at = excluded.seen_at, stopped_at = excluded.stopped_at, spool_messages = excluded.spool_messages, spool_oldest_at = excluded.spool_oldest_at, spool = excluded.spool, findings = excluded.findings
WHERE node.holder = excluded.holder OR node.started_at <= excluded.started_at
