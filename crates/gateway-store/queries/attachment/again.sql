UPDATE attachment SET
    state = 'owed', digest = NULL, size_bytes = 0, media_type = NULL, attempts = 0, error = NULL, owed_at = $2, fetched_at = NULL, fetch_at = $2
WHERE id = $1 AND (state <> 'kept' OR $3)
