DELETE FROM parked_record WHERE raw_id = ANY ($1)
