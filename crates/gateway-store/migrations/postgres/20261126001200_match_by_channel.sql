-- What is compared of orders is kept beside what they are found by, and who told of them first-hand: nobody reads whole orders for it, and those of one
-- channel are not looked for. All of it is made again from the feed.
DROP TABLE match_key;
DELETE FROM match_position;

-- What orders that may be one are found by: hashes, at = when it happened.
CREATE TABLE match_key (
    key bytea NOT NULL,
    channel text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    order_id uuid NOT NULL,
    PRIMARY KEY (key, channel, at, order_id)
);

-- What is compared of an order (subject: hashes, no text), and what it was made of: whose acceptance with which content, in which group. Its keys follow from it.
CREATE TABLE match_subject (
    order_id uuid PRIMARY KEY,
    channel text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    content_hash bytea NOT NULL,
    lead_id uuid NOT NULL,
    at bigint NOT NULL,
    subject bytea NOT NULL
);

-- The channels that have any.
CREATE TABLE match_channel (
    channel text COLLATE "C" PRIMARY KEY
);
