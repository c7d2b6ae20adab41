UPDATE gap_group SET last_opened_at = CASE WHEN last_opened_at > $2 THEN last_opened_at ELSE $2 END, ended_at = NULL WHERE id = $1
