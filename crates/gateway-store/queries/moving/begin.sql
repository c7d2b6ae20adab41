INSERT INTO moving (id, source_schema, began_at) VALUES ($1, $2, $3)
