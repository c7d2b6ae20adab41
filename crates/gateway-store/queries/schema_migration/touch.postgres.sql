SELECT version FROM schema_migration ORDER BY version LIMIT 1 FOR NO KEY UPDATE
