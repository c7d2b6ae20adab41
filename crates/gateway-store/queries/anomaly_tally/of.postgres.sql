SELECT t.channel, t.kind, t.subject, t.count, t.last_at
FROM UNNEST($1, $2, $3) AS wanted (channel, kind, subject)
JOIN anomaly_tally AS t
    ON t.channel = wanted.channel AND t.kind = wanted.kind AND t.subject = wanted.subject
