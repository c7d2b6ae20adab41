SELECT kind, seq, entries, imported_at FROM registry_import ORDER BY kind
