SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'notification'), 0) + 1
