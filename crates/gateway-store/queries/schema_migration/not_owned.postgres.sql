-- The tables that are parted by month and not the user's own: who does not own them can't add the next month.
SELECT c.relname::text
FROM pg_class AS c
WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = current_schema())
    AND c.relkind = 'p'
    AND NOT pg_has_role(c.relowner, 'USAGE')
ORDER BY c.relname
