DELETE FROM incident WHERE id = ANY ($1) AND state = 'suspected'
