SELECT d.id, d.raw_id, d.channel, d.number, d.code, d.reason, d.state, d.at, d.settled_at, d.settled_reason
FROM UNNEST($1, $2) AS wanted (channel, number)
JOIN dead_letter AS d ON d.number = wanted.number AND d.channel = wanted.channel
ORDER BY d.id
