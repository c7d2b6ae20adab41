INSERT INTO month_left (month, holds, looked_at)
VALUES (?, ?, ?)
