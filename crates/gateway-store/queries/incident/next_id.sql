-- Never the id of a forgotten suspicion again.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'incident'), 0) + 1
