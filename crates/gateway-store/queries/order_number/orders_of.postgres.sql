SELECT n.order_id
FROM UNNEST($1, $2) AS wanted (channel, number)
JOIN order_number AS n ON n.channel = wanted.channel AND n.number = wanted.number
UNION
-- Those that are said to belong to one of the numbers; nobody says it honestly of more than a few.
SELECT order_id
FROM (
    SELECT r.order_id
    FROM UNNEST($1, $2) AS wanted (channel, number)
    JOIN order_reference AS r ON r.number = wanted.number AND r.channel <> wanted.channel
    ORDER BY r.number, r.order_id
    LIMIT 500
) AS referring
