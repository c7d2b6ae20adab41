-- Of the program's own tables: the parts of the two that are parted by month are reached through them.
SELECT c.relname::text
FROM pg_class AS c
WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = current_schema())
    AND c.relkind IN ('r', 'p')
    AND NOT c.relispartition
    AND NOT (
        has_table_privilege(c.oid, 'SELECT')
        AND has_table_privilege(c.oid, 'INSERT')
        AND has_table_privilege(c.oid, 'UPDATE')
        AND has_table_privilege(c.oid, 'DELETE')
    )
ORDER BY c.relname
