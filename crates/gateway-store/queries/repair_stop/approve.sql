UPDATE repair_stop SET approved_at = $3, approved_by = $4 WHERE channel = $1 AND dataset = $2 AND approved_at IS NULL
