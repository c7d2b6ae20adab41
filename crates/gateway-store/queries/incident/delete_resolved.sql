DELETE FROM incident WHERE resolved_at < $1 AND state = 'resolved' AND unsettled = 0
