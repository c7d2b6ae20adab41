SELECT channel, state, count(*) FROM attachment GROUP BY channel, state ORDER BY channel, state
