-- Differences between two accounts, and the comparisons that found or cleared them.

CREATE TABLE gap (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    number TEXT,
    day TEXT,
    part TEXT,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    delivery_id INTEGER,
    theirs BLOB,
    ours BLOB,
    as_of INTEGER NOT NULL,
    compared_at INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    first_seen_at INTEGER NOT NULL,
    opened_at INTEGER,
    repair_started_at INTEGER,
    ended_at INTEGER,
    reason TEXT,
    decided_by TEXT
) STRICT;
CREATE INDEX gap_state ON gap (state, id);
CREATE INDEX gap_number ON gap (number, id) WHERE number IS NOT NULL;

CREATE TABLE comparison (
    id INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    whole INTEGER NOT NULL,
    in_step INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    vanished INTEGER NOT NULL
) STRICT;
CREATE INDEX comparison_whole ON comparison (channel, started_at) WHERE whole = 1;

CREATE TABLE comparison_total (
    channel TEXT PRIMARY KEY NOT NULL,
    calls INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    vanished INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
