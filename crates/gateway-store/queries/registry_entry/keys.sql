SELECT key, from_at FROM registry_entry WHERE kind = $1
