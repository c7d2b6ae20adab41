INSERT INTO flow_tally (channel, dataset, outcome, changes)
VALUES (?, ?, ?, ?)
ON CONFLICT (channel, dataset, outcome) DO UPDATE SET changes = flow_tally.changes + excluded.changes
