-- What each process of the gateway last told of itself.

-- holder = this start of it; key_print = what tells content keys apart without telling the key; roles = words between commas; findings = JSON, what
-- only the process itself can see to be wrong; spool_… = what it holds that is not on the bus yet.
CREATE TABLE node (
    name TEXT PRIMARY KEY NOT NULL,
    holder TEXT NOT NULL,
    roles TEXT NOT NULL,
    version TEXT NOT NULL,
    key_print TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    stopped_at INTEGER,
    spool_messages INTEGER NOT NULL,
    spool_oldest_at INTEGER,
    findings TEXT NOT NULL
) STRICT, WITHOUT ROWID;
