-- The state book: one item per key with the side that states it, and the bucket sums kept with the items.

CREATE TABLE book_item (
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    number TEXT NOT NULL,
    day TEXT NOT NULL,
    part TEXT NOT NULL,
    side TEXT NOT NULL,
    projection_version INTEGER NOT NULL,
    event_time TEXT NOT NULL,
    event_at INTEGER NOT NULL,
    date_only INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (channel, dataset, number, day, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX book_item_event ON book_item (channel, dataset, event_at);

CREATE TABLE book_bucket (
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    projection_version INTEGER NOT NULL,
    grain TEXT NOT NULL,
    start_at INTEGER NOT NULL,
    side TEXT NOT NULL,
    count INTEGER NOT NULL,
    sum BLOB NOT NULL,
    PRIMARY KEY (channel, dataset, projection_version, grain, start_at, side)
) STRICT, WITHOUT ROWID;
-- Empty between the statements of one transaction only: what fell to nothing is deleted by it.
CREATE INDEX book_bucket_empty ON book_bucket (count) WHERE count = 0;
