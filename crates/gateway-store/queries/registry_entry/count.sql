SELECT count(*) FROM registry_entry WHERE kind = $1
