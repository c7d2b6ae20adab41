-- Operating data 运营数据, and how orders compare with it.

-- key = plate, keyed hash of a driver's permit number, or a company's name as it is compared; from_at, until_at = of a trip, else 0; facts = JSON, persons
-- as keyed hashes only.
CREATE TABLE registry_entry (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    from_at INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (kind, key, from_at)
) STRICT, WITHOUT ROWID;

-- The last import of each kind that changed something; seq ascends over all kinds.
CREATE TABLE registry_import (
    kind TEXT PRIMARY KEY NOT NULL,
    seq INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    imported_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- subject = JSON, what the channel said that can be compared; result = JSON, what came of it after import registry_seq.
CREATE TABLE verification (
    order_id BLOB NOT NULL REFERENCES work_order (id),
    channel TEXT NOT NULL,
    raw_id INTEGER NOT NULL,
    subject TEXT NOT NULL,
    verdict TEXT NOT NULL,
    result TEXT NOT NULL,
    registry_seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (order_id, channel)
) STRICT;

CREATE INDEX verification_by_seq ON verification (registry_seq, order_id);
