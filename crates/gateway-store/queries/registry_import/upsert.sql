INSERT INTO registry_import (kind, seq, entries, imported_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (kind) DO UPDATE SET seq = excluded.seq, entries = excluded.entries, imported_at = excluded.imported_at
