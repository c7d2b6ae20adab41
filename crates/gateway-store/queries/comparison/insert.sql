INSERT INTO comparison (channel, started_at, ended_at, whole, in_step, calls, bytes, vanished, kind)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
