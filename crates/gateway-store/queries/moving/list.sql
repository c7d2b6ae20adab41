SELECT id, source_schema, ended_at FROM moving
