SELECT coalesce(max(id), 0) FROM raw_record
