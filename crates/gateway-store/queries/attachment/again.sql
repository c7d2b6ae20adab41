UPDATE attachment SET state = 'owed', attempts = 0, error = NULL, owed_at = $2, fetch_at = $2
WHERE id = $1 AND state <> 'kept'
