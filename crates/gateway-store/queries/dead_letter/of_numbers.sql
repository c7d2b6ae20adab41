SELECT d.id, d.raw_id, d.channel, d.number, d.code, d.reason, d.state, d.at, d.settled_at, d.settled_reason
FROM json_each($1) AS wanted
CROSS JOIN dead_letter AS d ON d.number = wanted.value ->> 1 AND d.channel = wanted.value ->> 0
ORDER BY d.id
