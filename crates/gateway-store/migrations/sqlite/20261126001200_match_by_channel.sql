-- What is compared of orders is kept beside what they are found by, and who told of them first-hand: nobody reads whole orders for it, and those of one
-- channel are not looked for. All of it is made again from the feed.
DROP TABLE match_key;
DELETE FROM match_position;

-- What orders that may be one are found by: hashes, at = when it happened.
CREATE TABLE match_key (
    key BLOB NOT NULL,
    channel TEXT NOT NULL,
    at INTEGER NOT NULL,
    order_id BLOB NOT NULL,
    PRIMARY KEY (key, channel, at, order_id)
) STRICT, WITHOUT ROWID;

-- What is compared of an order (subject: hashes, no text), and what it was made of: whose acceptance with which content, in which group. Its keys follow from it.
CREATE TABLE match_subject (
    order_id BLOB PRIMARY KEY NOT NULL,
    channel TEXT NOT NULL,
    part TEXT NOT NULL,
    content_hash BLOB NOT NULL,
    lead_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    subject BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The channels that have any.
CREATE TABLE match_channel (
    channel TEXT PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;
