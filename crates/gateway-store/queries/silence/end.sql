-- One that has not begun never begins.
UPDATE silence
SET ends_at = $2, starts_at = CASE WHEN starts_at < $2 THEN starts_at ELSE $2 END, ended_by = $3
WHERE id = $1 AND ends_at > $2
