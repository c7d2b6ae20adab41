-- What came in: records exactly as received, how far the bus is accounted for, and what waits or failed.
-- Times are milliseconds since 1970 UTC; ids of the gateway are 16-byte UUIDs.

CREATE TABLE raw_record (
    id INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    origin TEXT NOT NULL,
    number TEXT,
    received_at INTEGER NOT NULL,
    read_at INTEGER NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    bus_offset INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    body BLOB,
    UNIQUE (topic, partition, bus_offset)
) STRICT;

CREATE TABLE flow_position (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;

-- dataset '' = what could not be decoded.
CREATE TABLE flow_tally (
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    outcome TEXT NOT NULL,
    changes INTEGER NOT NULL,
    PRIMARY KEY (channel, dataset, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE parked_record (
    raw_id INTEGER PRIMARY KEY REFERENCES raw_record (id),
    channel TEXT NOT NULL,
    number TEXT NOT NULL,
    since INTEGER NOT NULL,
    changes INTEGER NOT NULL
) STRICT;
CREATE INDEX parked_record_number ON parked_record (channel, number);
CREATE INDEX parked_record_since ON parked_record (since);

CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    raw_id INTEGER NOT NULL REFERENCES raw_record (id),
    channel TEXT NOT NULL,
    number TEXT,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    at INTEGER NOT NULL,
    settled_at INTEGER,
    settled_reason TEXT
) STRICT;
CREATE INDEX dead_letter_state ON dead_letter (state, id);

CREATE TABLE anomaly_tally (
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (channel, kind, subject)
) STRICT, WITHOUT ROWID;

-- The latest of each kind; slot = count modulo the cap.
CREATE TABLE anomaly (
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    slot INTEGER NOT NULL,
    order_id BLOB,
    raw_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (channel, kind, subject, slot)
) STRICT, WITHOUT ROWID;
