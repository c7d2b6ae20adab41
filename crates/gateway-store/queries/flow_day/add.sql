INSERT INTO flow_day (channel, dataset, day, outcome, changes)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (channel, dataset, day, outcome) DO UPDATE SET changes = flow_day.changes + excluded.changes
