-- One that has not begun never begins.
UPDATE silence
SET ends_at = $2, starts_at = min(starts_at, $2), ended_by = $3
WHERE id = $1 AND ends_at > $2
