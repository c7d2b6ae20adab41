SELECT n.order_id
FROM json_each($1) AS wanted
CROSS JOIN order_number AS n ON n.channel = wanted.value ->> 0 AND n.number = wanted.value ->> 1
UNION
-- Those that are said to belong to one of the numbers; nobody says it honestly of more than a few.
SELECT order_id
FROM (
    SELECT r.order_id
    FROM json_each($1) AS wanted
    CROSS JOIN order_reference AS r ON r.number = wanted.value ->> 1 AND r.channel <> wanted.value ->> 0
    ORDER BY r.number, r.order_id
    LIMIT 500
) AS referring
