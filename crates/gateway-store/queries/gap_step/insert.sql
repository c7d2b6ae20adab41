INSERT INTO gap_step (gap_id, channel, at, state, generation, reason, decided_by)
VALUES (?, ?, ?, ?, ?, ?, ?)
