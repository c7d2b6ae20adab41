-- Identity 工单归一: orders that are one, and orders that may be.

-- Which number of another channel a channel's record names for its order; empty = its record names none any more.
CREATE TABLE order_reference (
    order_id uuid NOT NULL,
    channel text COLLATE "C" NOT NULL,
    number text COLLATE "C",
    PRIMARY KEY (order_id, channel)
);
CREATE INDEX order_reference_number ON order_reference (number, order_id) WHERE number IS NOT NULL;

-- The lead of the group that an order belongs to; itself where it is alone again.
CREATE TABLE order_alias (
    order_id uuid PRIMARY KEY,
    lead_id uuid NOT NULL
);
CREATE INDEX order_alias_lead ON order_alias (lead_id);

-- id follows from both orders; likeness = JSON; pending = the orders' rows do not show it yet.
CREATE TABLE order_pair (
    id text COLLATE "C" PRIMARY KEY,
    order_a uuid NOT NULL,
    order_b uuid NOT NULL,
    state text COLLATE "C" NOT NULL,
    by text COLLATE "C" NOT NULL,
    reason text,
    score bigint,
    likeness text NOT NULL,
    pending bigint NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX order_pair_a ON order_pair (order_a);
CREATE INDEX order_pair_b ON order_pair (order_b);
CREATE INDEX order_pair_state ON order_pair (state, at, id);
CREATE INDEX order_pair_pending ON order_pair (at) WHERE pending <> 0;

-- Who said what of a pair, never changed.
CREATE TABLE order_pair_step (
    pair_id text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    by text COLLATE "C" NOT NULL,
    reason text,
    PRIMARY KEY (pair_id, at, state)
);

-- What orders that may be one are found by: hashes, at = when it happened.
CREATE TABLE match_key (
    key text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    order_id uuid NOT NULL,
    PRIMARY KEY (key, at, order_id)
);
CREATE INDEX match_key_order ON match_key (order_id);

-- Up to which place of the feed orders were compared; one row.
CREATE TABLE match_position (
    id bigint PRIMARY KEY,
    feed_seq bigint NOT NULL
);
