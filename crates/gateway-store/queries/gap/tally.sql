SELECT channel, kind, state, count(*) FROM gap GROUP BY channel, kind, state ORDER BY channel, kind, state
