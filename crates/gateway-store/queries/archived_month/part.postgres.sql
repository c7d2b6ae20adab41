-- A month's part of a table: no row where there is no table of that name, null where it is no part of that table.
SELECT (
    SELECT i.inhdetachpending
    FROM pg_inherits AS i
    WHERE i.inhrelid = c.oid AND i.inhparent = to_regclass($2)
)
FROM pg_class AS c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname = $1
