SELECT t.channel, t.kind, t.subject, t.count, t.last_at
FROM json_each($1) AS wanted
CROSS JOIN anomaly_tally AS t
    ON t.channel = wanted.value ->> 0 AND t.kind = wanted.value ->> 1 AND t.subject = wanted.value ->> 2
