SELECT channel, kind, subject, count, last_at FROM anomaly_tally ORDER BY channel, kind, subject
