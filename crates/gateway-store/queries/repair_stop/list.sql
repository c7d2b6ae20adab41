SELECT channel, dataset, since, gaps, ours, theirs, approved_at, approved_by FROM repair_stop ORDER BY channel, dataset
