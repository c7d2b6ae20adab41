INSERT INTO parked_record (raw_id, channel, number, since, changes)
VALUES (?, ?, ?, ?, ?)
