-- Orders: the composed row, every side's number, what each channel says (facets, events), person fields apart, and the timeline.
-- fields, unmapped and conflicts are JSON. A moment is its canonical text; event_at its first instant where a query needs it.

CREATE TABLE work_order (
    id BLOB PRIMARY KEY NOT NULL,
    seq INTEGER NOT NULL,
    feed_seq INTEGER NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    state TEXT,
    round INTEGER NOT NULL,
    fields TEXT NOT NULL,
    conflicts TEXT NOT NULL
) STRICT;

CREATE TABLE order_number (
    channel TEXT NOT NULL,
    number TEXT NOT NULL,
    day TEXT NOT NULL,
    order_id BLOB NOT NULL REFERENCES work_order (id),
    PRIMARY KEY (channel, number, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_number_order ON order_number (order_id);
CREATE INDEX order_number_number ON order_number (number);

CREATE TABLE facet (
    order_id BLOB NOT NULL REFERENCES work_order (id),
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    part TEXT NOT NULL,
    revision INTEGER,
    revision_doubtful INTEGER NOT NULL,
    event_time TEXT NOT NULL,
    digest BLOB NOT NULL,
    content_hash BLOB NOT NULL,
    echo INTEGER NOT NULL,
    fields TEXT NOT NULL,
    unmapped TEXT NOT NULL,
    read_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    raw_id INTEGER NOT NULL,
    PRIMARY KEY (order_id, channel, dataset, part)
) STRICT;

CREATE TABLE order_event (
    order_id BLOB NOT NULL REFERENCES work_order (id),
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    part TEXT NOT NULL,
    revision INTEGER,
    event_time TEXT NOT NULL,
    digest BLOB NOT NULL,
    content_hash BLOB NOT NULL,
    echo INTEGER NOT NULL,
    fields TEXT NOT NULL,
    read_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    raw_id INTEGER NOT NULL,
    PRIMARY KEY (order_id, channel, dataset, part)
) STRICT;

CREATE TABLE work_order_person (
    order_id BLOB NOT NULL REFERENCES work_order (id),
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    part TEXT NOT NULL,
    fields TEXT NOT NULL,
    key_id TEXT NOT NULL,
    PRIMARY KEY (order_id, channel, dataset, part)
) STRICT;

CREATE TABLE order_change (
    order_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    part TEXT NOT NULL,
    raw_id INTEGER NOT NULL,
    PRIMARY KEY (order_id, seq)
) STRICT, WITHOUT ROWID;
