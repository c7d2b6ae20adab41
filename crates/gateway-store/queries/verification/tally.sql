SELECT channel, verdict, count(*) FROM verification GROUP BY channel, verdict ORDER BY channel, verdict
