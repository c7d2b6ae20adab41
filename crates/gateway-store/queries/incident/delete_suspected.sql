DELETE FROM incident WHERE id IN (SELECT value FROM json_each($1)) AND state = 'suspected'
