INSERT INTO dead_letter (raw_id, channel, number, code, reason, state, at)
VALUES (?, ?, ?, ?, ?, ?, ?)
