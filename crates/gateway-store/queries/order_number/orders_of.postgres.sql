SELECT DISTINCT n.order_id
FROM UNNEST($1, $2) AS wanted (channel, number)
JOIN order_number AS n ON n.channel = wanted.channel AND n.number = wanted.number
