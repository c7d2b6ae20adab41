-- Every table that is a month's, in our schema and in the archive, with what the server thinks it holds. -1 = it has not counted yet.
SELECT
    n.nspname = 'archive',
    c.relname::text,
    c.reltuples::bigint,
    pg_total_relation_size(c.oid)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (n.nspname = current_schema() OR n.nspname = 'archive')
    AND c.relkind = 'r'
    AND c.relname ~ '^(raw_record|order_change)_[0-9]{4}_[0-9]{2}$'
ORDER BY c.relname
