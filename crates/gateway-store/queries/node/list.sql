SELECT name, holder, roles, version, key_print, started_at, seen_at, stopped_at, spool_messages, spool_oldest_at, spool, findings FROM node ORDER BY name
