-- The archived months that may have a record of these ids. Of one that was taken out by hand nobody wrote down which it has.
SELECT coalesce(m.month, replace(substr(c.relname::text, 12), '_', '-')), c.relname IS NOT NULL
FROM archived_month AS m
FULL JOIN (
    SELECT t.relname
    FROM pg_class AS t
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE n.nspname = 'archive' AND t.relkind = 'r' AND t.relname ~ '^raw_record_[0-9]{4}_[0-9]{2}$'
) AS c ON c.relname::text = 'raw_record_' || replace(m.month, '-', '_')
WHERE m.month IS NULL OR (m.first_raw_id <= $2 AND m.last_raw_id >= $1)
ORDER BY 1
