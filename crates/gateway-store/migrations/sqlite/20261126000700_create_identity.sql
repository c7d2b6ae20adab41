-- Identity 工单归一: orders that are one, and orders that may be.

-- Which number of another channel a channel's record names for its order; empty = its record names none any more.
CREATE TABLE order_reference (
    order_id BLOB NOT NULL REFERENCES work_order (id),
    channel TEXT NOT NULL,
    number TEXT,
    PRIMARY KEY (order_id, channel)
) STRICT;
CREATE INDEX order_reference_number ON order_reference (number, order_id) WHERE number IS NOT NULL;

-- The lead of the group that an order belongs to; itself where it is alone again.
CREATE TABLE order_alias (
    order_id BLOB PRIMARY KEY NOT NULL REFERENCES work_order (id),
    lead_id BLOB NOT NULL REFERENCES work_order (id)
) STRICT;
CREATE INDEX order_alias_lead ON order_alias (lead_id);

-- id follows from both orders; likeness = JSON; pending = the orders' rows do not show it yet.
CREATE TABLE order_pair (
    id TEXT PRIMARY KEY NOT NULL,
    order_a BLOB NOT NULL REFERENCES work_order (id),
    order_b BLOB NOT NULL REFERENCES work_order (id),
    state TEXT NOT NULL,
    by TEXT NOT NULL,
    reason TEXT,
    score INTEGER,
    likeness TEXT NOT NULL,
    pending INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX order_pair_a ON order_pair (order_a);
CREATE INDEX order_pair_b ON order_pair (order_b);
CREATE INDEX order_pair_state ON order_pair (state, at, id);
CREATE INDEX order_pair_pending ON order_pair (at) WHERE pending <> 0;

-- Who said what of a pair, never changed.
CREATE TABLE order_pair_step (
    pair_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    by TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (pair_id, at, state)
) STRICT, WITHOUT ROWID;

-- What orders that may be one are found by: hashes, at = when it happened.
CREATE TABLE match_key (
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    order_id BLOB NOT NULL,
    PRIMARY KEY (key, at, order_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX match_key_order ON match_key (order_id);

-- Up to which place of the feed orders were compared; one row.
CREATE TABLE match_position (
    id INTEGER PRIMARY KEY NOT NULL,
    feed_seq INTEGER NOT NULL
) STRICT;
