-- Commands with their verdict, what is owed to whom, and every attempt. item and receipt are JSON.

CREATE TABLE command (
    id BLOB PRIMARY KEY NOT NULL,
    order_id BLOB NOT NULL,
    operation TEXT NOT NULL,
    round INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    raw_id INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES work_order (id),
    destination TEXT NOT NULL,
    from_channel TEXT NOT NULL,
    operation TEXT NOT NULL,
    dataset TEXT NOT NULL,
    part TEXT NOT NULL,
    round INTEGER NOT NULL,
    raw_id INTEGER NOT NULL REFERENCES raw_record (id),
    command_id BLOB,
    state TEXT NOT NULL,
    generation INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    unanswered INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    first_sent_at INTEGER,
    last_attempt_ended_at INTEGER,
    item_number TEXT,
    item TEXT,
    projection_version INTEGER NOT NULL,
    ask_by TEXT,
    receipt TEXT,
    reason_code TEXT,
    reason TEXT
) STRICT;
-- Of an order, by destination: aggregates, and the oldest in flight.
CREATE INDEX delivery_order ON delivery (order_id, destination, id);
-- Due by destination; queries repeat the list of states so that this index serves them.
CREATE INDEX delivery_in_flight ON delivery (destination, next_attempt_at, id)
    WHERE state IN ('owed', 'sending', 'pending', 'ambiguous', 'held');
CREATE INDEX delivery_item ON delivery (destination, item_number) WHERE item_number IS NOT NULL;
CREATE INDEX delivery_command ON delivery (command_id) WHERE command_id IS NOT NULL;

-- The outbound flow book, kept with the rows so that nothing counts millions of deliveries to show a page.
CREATE TABLE delivery_tally (
    destination TEXT NOT NULL,
    dataset TEXT NOT NULL,
    state TEXT NOT NULL,
    deliveries INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    PRIMARY KEY (destination, dataset, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery_attempt (
    delivery_id INTEGER NOT NULL REFERENCES delivery (id),
    generation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    reason_code TEXT,
    PRIMARY KEY (delivery_id, generation, attempt)
) STRICT, WITHOUT ROWID;
