DELETE FROM parked_record WHERE raw_id IN (SELECT value FROM json_each($1))
