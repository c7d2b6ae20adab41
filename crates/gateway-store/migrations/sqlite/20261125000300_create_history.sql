-- The books through time, by day (China time). Two times in a row: `day` = what it is of, `as_of_day` = when it was so. A row of a past as_of_day is
-- never written again, so whatever is asked as of a day that is over is answered the same for ever.

-- A day's bucket of the state book as it stood at the end of as_of_day, or stands now where that is today; changed_at = when it last changed on it.
CREATE TABLE book_day (
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    day TEXT NOT NULL,
    side TEXT NOT NULL,
    projection_version INTEGER NOT NULL,
    as_of_day TEXT NOT NULL,
    count INTEGER NOT NULL,
    sum BLOB NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (channel, dataset, day, side, projection_version, as_of_day)
) STRICT, WITHOUT ROWID;

-- What the channel's own account said of a day, the last time it was asked on as_of_day; sum is null where it only counts.
CREATE TABLE account_day (
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    day TEXT NOT NULL,
    as_of_day TEXT NOT NULL,
    count INTEGER NOT NULL,
    sum BLOB,
    as_of INTEGER NOT NULL,
    PRIMARY KEY (channel, dataset, day, as_of_day)
) STRICT, WITHOUT ROWID;

-- Days [from_day, to_day) of which the channel's account was ours by one sum, the last time on as_of_day: each of them was then as our book had it.
CREATE TABLE account_span (
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    from_day TEXT NOT NULL,
    to_day TEXT NOT NULL,
    as_of_day TEXT NOT NULL,
    as_of INTEGER NOT NULL,
    compared_at INTEGER NOT NULL,
    PRIMARY KEY (channel, dataset, from_day, to_day, as_of_day)
) STRICT, WITHOUT ROWID;

-- Changes by the day on which they ended. dataset '' = what could not be decoded.
CREATE TABLE flow_day (
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    day TEXT NOT NULL,
    outcome TEXT NOT NULL,
    changes INTEGER NOT NULL,
    PRIMARY KEY (channel, dataset, day, outcome)
) STRICT, WITHOUT ROWID;

-- Deliveries by the day on which they were decided and where they stand: what as_of_day added and took away. The sum up to a day is the state then.
CREATE TABLE delivery_day (
    destination TEXT NOT NULL,
    dataset TEXT NOT NULL,
    day TEXT NOT NULL,
    state TEXT NOT NULL,
    as_of_day TEXT NOT NULL,
    deliveries INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    PRIMARY KEY (destination, dataset, day, state, as_of_day)
) STRICT, WITHOUT ROWID;

-- How long each leg took, by the day on which it ended: a histogram whose bucket n holds up to 1.2^n ms.
CREATE TABLE latency_day (
    channel TEXT NOT NULL,
    leg TEXT NOT NULL,
    day TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    max_ms INTEGER NOT NULL,
    PRIMARY KEY (channel, leg, day, bucket)
) STRICT, WITHOUT ROWID;

-- Every step of a gap's life from its opening on; the gap's own row has only the last.
CREATE TABLE gap_step (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    gap_id INTEGER NOT NULL REFERENCES gap (id),
    channel TEXT NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    generation INTEGER NOT NULL,
    reason TEXT,
    decided_by TEXT
) STRICT;
CREATE INDEX gap_step_gap ON gap_step (gap_id, id);
CREATE INDEX gap_step_channel ON gap_step (channel, gap_id, id);
CREATE INDEX dead_letter_channel ON dead_letter (channel, at);

-- What is held already has no history: it is taken to have been so on its own day.
INSERT INTO book_day (channel, dataset, day, side, projection_version, as_of_day, count, sum, changed_at)
SELECT channel, dataset, date(start_at / 1000 + 28800, 'unixepoch'), side, projection_version,
    date(start_at / 1000 + 28800, 'unixepoch'), count, sum, start_at
FROM book_bucket
WHERE grain = 'day';

INSERT INTO delivery_day (destination, dataset, day, state, as_of_day, deliveries, sent)
SELECT destination, dataset, date(created_at / 1000 + 28800, 'unixepoch') AS created_on, state,
    date(created_at / 1000 + 28800, 'unixepoch'), count(*), count(first_sent_at)
FROM delivery
GROUP BY destination, dataset, created_on, state;

INSERT INTO gap_step (gap_id, channel, at, state, generation)
SELECT id, channel, opened_at, 'open', 0 FROM gap WHERE opened_at IS NOT NULL ORDER BY id;
INSERT INTO gap_step (gap_id, channel, at, state, generation)
SELECT id, channel, repair_started_at, 'repairing', generation FROM gap WHERE repair_started_at IS NOT NULL ORDER BY id;
INSERT INTO gap_step (gap_id, channel, at, state, generation, reason, decided_by)
SELECT id, channel, ended_at, state, generation, reason, decided_by FROM gap
WHERE ended_at IS NOT NULL AND state IN ('closed', 'waived') ORDER BY id;
