INSERT INTO registry_entry (kind, key, from_at, until_at, facts)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (kind, key, from_at) DO UPDATE SET until_at = excluded.until_at, facts = excluded.facts
