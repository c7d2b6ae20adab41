INSERT INTO repair_stop (channel, dataset, since, gaps, ours, theirs)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (channel, dataset) DO UPDATE SET gaps = excluded.gaps, ours = excluded.ours, theirs = excluded.theirs
