-- Background work that parts of the gateway ask of each other, and the right to be the only one who does something.

-- claimed_requested = how often it had been asked for when it was claimed.
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    run_at INTEGER NOT NULL,
    requested INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    claimed_until INTEGER,
    claimed_requested INTEGER,
    UNIQUE (kind, channel, subject)
) STRICT;
CREATE INDEX job_due ON job (kind, channel, run_at);

CREATE TABLE lease (
    name TEXT PRIMARY KEY NOT NULL,
    holder TEXT,
    epoch INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
    channel TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    PRIMARY KEY (channel, name)
) STRICT, WITHOUT ROWID;
