UPDATE gap_group SET last_opened_at = max(last_opened_at, $2), ended_at = NULL WHERE id = $1
