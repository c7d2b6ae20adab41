-- Background work that parts of the gateway ask of each other, and the right to be the only one who does something.

-- run_at = when it was asked for; due_at = when it can be claimed: the same while it waits, the end of the claim while it runs.
-- claimed_requested = how often it had been asked for when it was claimed; null while it waits.
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    run_at INTEGER NOT NULL,
    requested INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    claimed_requested INTEGER,
    UNIQUE (kind, channel, subject)
) STRICT;
CREATE INDEX job_due ON job (kind, channel, due_at, id);

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
