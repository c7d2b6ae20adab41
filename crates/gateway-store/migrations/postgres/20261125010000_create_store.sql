-- The whole store as of this engine's first release. The same tables, columns and meanings as the embedded engine's; what differs:
-- records and timelines are partitioned by month, ids that nothing else refers to are given by the server, and there are no foreign keys: each row
-- written would lock and look up the row that it refers to, and the same transaction has just written that one.
-- Times are milliseconds since 1970 UTC; fields, items and receipts are JSON kept as their exact text. Keys compare by their bytes (COLLATE "C").

-- What came in: records exactly as received, how far the bus is accounted for, and what waits or failed.
CREATE TABLE raw_record (
    id bigint NOT NULL,
    channel text COLLATE "C" NOT NULL,
    origin text COLLATE "C" NOT NULL,
    number text COLLATE "C",
    received_at bigint NOT NULL,
    read_at bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition bigint NOT NULL,
    bus_offset bigint NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    body bytea,
    PRIMARY KEY (id, received_at),
    -- The time of receipt comes with the record on the bus, so that the same place has the same time.
    UNIQUE (topic, partition, bus_offset, received_at)
) PARTITION BY RANGE (received_at);

CREATE TABLE flow_position (
    topic text COLLATE "C" NOT NULL,
    partition bigint NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- dataset '' = what could not be decoded.
CREATE TABLE flow_tally (
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    changes bigint NOT NULL,
    PRIMARY KEY (channel, dataset, outcome)
) WITH (fillfactor = 50);

CREATE TABLE parked_record (
    raw_id bigint PRIMARY KEY,
    channel text COLLATE "C" NOT NULL,
    number text COLLATE "C" NOT NULL,
    since bigint NOT NULL,
    changes bigint NOT NULL
);
CREATE INDEX parked_record_number ON parked_record (channel, number);
CREATE INDEX parked_record_since ON parked_record (since);

CREATE TABLE dead_letter (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    raw_id bigint NOT NULL,
    channel text COLLATE "C" NOT NULL,
    number text COLLATE "C",
    code text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    state text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    settled_at bigint,
    settled_reason text
);
CREATE INDEX dead_letter_state ON dead_letter (state, id);
CREATE INDEX dead_letter_channel ON dead_letter (channel, at);
CREATE INDEX dead_letter_number ON dead_letter (number, id) WHERE number IS NOT NULL;

CREATE TABLE anomaly_tally (
    channel text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    last_at bigint NOT NULL,
    PRIMARY KEY (channel, kind, subject)
) WITH (fillfactor = 50);

-- The latest of each kind; slot = count modulo the cap.
CREATE TABLE anomaly (
    channel text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    slot bigint NOT NULL,
    order_id uuid,
    raw_id bigint NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (channel, kind, subject, slot)
);

-- Orders: the composed row, every side's number, what each channel says (facets, events), person fields apart, and the timeline.
-- A moment is its canonical text; event_at its first instant where a query needs it.
CREATE TABLE work_order (
    id uuid PRIMARY KEY,
    seq bigint NOT NULL,
    feed_seq bigint NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    state text COLLATE "C",
    round bigint NOT NULL,
    fields text NOT NULL,
    conflicts text NOT NULL
);

-- whole_read_at = when the latest request was sent whose answer was the order's whole authoritative word, or that there is no such order;
-- absent_since = when the request was sent that found no such order, null while the source has it.
CREATE TABLE order_number (
    channel text COLLATE "C" NOT NULL,
    number text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    order_id uuid NOT NULL,
    whole_read_at bigint,
    absent_since bigint,
    PRIMARY KEY (channel, number, day)
);
CREATE INDEX order_number_order ON order_number (order_id);
CREATE INDEX order_number_number ON order_number (number);

-- gone_at = when the request was sent whose answer did not show the item any more; null while the channel says it.
CREATE TABLE facet (
    order_id uuid NOT NULL,
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    revision bigint,
    revision_doubtful bigint NOT NULL,
    event_time text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    content_hash bytea NOT NULL,
    echo bigint NOT NULL,
    fields text NOT NULL,
    unmapped text NOT NULL,
    read_at bigint NOT NULL,
    received_at bigint NOT NULL,
    raw_id bigint NOT NULL,
    gone_at bigint,
    PRIMARY KEY (order_id, channel, dataset, part)
);

CREATE TABLE order_event (
    order_id uuid NOT NULL,
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    revision bigint,
    event_time text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    content_hash bytea NOT NULL,
    echo bigint NOT NULL,
    fields text NOT NULL,
    read_at bigint NOT NULL,
    received_at bigint NOT NULL,
    raw_id bigint NOT NULL,
    gone_at bigint,
    PRIMARY KEY (order_id, channel, dataset, part)
);

CREATE TABLE work_order_person (
    order_id uuid NOT NULL,
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    fields text NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (order_id, channel, dataset, part)
);

CREATE TABLE order_change (
    order_id uuid NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    raw_id bigint NOT NULL,
    PRIMARY KEY (order_id, seq, at)
) PARTITION BY RANGE (at);

-- Commands with their verdict, what is owed to whom, and every attempt. item and receipt are JSON.
CREATE TABLE command (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL,
    operation text COLLATE "C" NOT NULL,
    round bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    reason text,
    raw_id bigint NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX command_order ON command (order_id, at);

CREATE TABLE delivery (
    id bigint PRIMARY KEY,
    order_id uuid NOT NULL,
    destination text COLLATE "C" NOT NULL,
    from_channel text COLLATE "C" NOT NULL,
    operation text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    round bigint NOT NULL,
    raw_id bigint NOT NULL,
    command_id uuid,
    state text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    attempts bigint NOT NULL,
    unanswered bigint NOT NULL,
    next_attempt_at bigint NOT NULL,
    created_at bigint NOT NULL,
    first_sent_at bigint,
    last_attempt_ended_at bigint,
    item_number text COLLATE "C",
    item text,
    projection_version bigint NOT NULL,
    ask_by text COLLATE "C",
    receipt text,
    reason_code text COLLATE "C",
    reason text
);
-- Of an order, by destination: aggregates, and the oldest in flight.
CREATE INDEX delivery_order ON delivery (order_id, destination, id);
-- Due by destination; queries repeat the list of states so that this index serves them.
CREATE INDEX delivery_in_flight ON delivery (destination, next_attempt_at, id)
    WHERE state IN ('owed', 'sending', 'pending', 'ambiguous', 'held');
CREATE INDEX delivery_item ON delivery (destination, item_number) WHERE item_number IS NOT NULL;
CREATE INDEX delivery_command ON delivery (command_id) WHERE command_id IS NOT NULL;

-- The outbound flow book, kept with the rows so that nothing counts millions of deliveries to show a page.
CREATE TABLE delivery_tally (
    destination text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    deliveries bigint NOT NULL,
    sent bigint NOT NULL,
    PRIMARY KEY (destination, dataset, state)
) WITH (fillfactor = 50);

CREATE TABLE delivery_attempt (
    delivery_id bigint NOT NULL,
    generation bigint NOT NULL,
    attempt bigint NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint,
    outcome text COLLATE "C",
    reason_code text COLLATE "C",
    PRIMARY KEY (delivery_id, generation, attempt)
);

-- The state book: one item per key with the side that states it, and the bucket sums kept with the items.
CREATE TABLE book_item (
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    number text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    side text COLLATE "C" NOT NULL,
    projection_version bigint NOT NULL,
    event_time text COLLATE "C" NOT NULL,
    event_at bigint NOT NULL,
    date_only bigint NOT NULL,
    digest bytea NOT NULL,
    -- The number first, see queries/book_item/of.postgres.sql.
    PRIMARY KEY (number, channel, dataset, day, part)
);
CREATE INDEX book_item_event ON book_item (channel, dataset, event_at);

CREATE TABLE book_bucket (
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    projection_version bigint NOT NULL,
    grain text COLLATE "C" NOT NULL,
    start_at bigint NOT NULL,
    side text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    sum bytea NOT NULL,
    PRIMARY KEY (channel, dataset, projection_version, grain, start_at, side)
) WITH (fillfactor = 70);

-- Differences between two accounts in their groups, and the comparisons that found or cleared them.
CREATE TABLE gap (
    id bigint PRIMARY KEY,
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    number text COLLATE "C",
    day text COLLATE "C",
    part text COLLATE "C",
    window_start bigint NOT NULL,
    window_end bigint NOT NULL,
    delivery_id bigint,
    theirs bytea,
    ours bytea,
    as_of bigint NOT NULL,
    compared_at bigint NOT NULL,
    generation bigint NOT NULL,
    first_seen_at bigint NOT NULL,
    opened_at bigint,
    repair_started_at bigint,
    ended_at bigint,
    reason text,
    decided_by text,
    group_id bigint,
    detail text COLLATE "C"
);
CREATE INDEX gap_state ON gap (state, id);
-- The gaps of a channel that are not over, among all that ever were; queries repeat the list of states so that this index serves them.
CREATE INDEX gap_active ON gap (channel, id) WHERE state IN ('suspected', 'open', 'repairing');
CREATE INDEX gap_number ON gap (number, id) WHERE number IS NOT NULL;
CREATE INDEX gap_group_id ON gap (group_id, state) WHERE group_id IS NOT NULL;

CREATE TABLE gap_group (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text COLLATE "C" NOT NULL,
    direction text COLLATE "C" NOT NULL,
    opened_at bigint NOT NULL,
    last_opened_at bigint NOT NULL,
    ended_at bigint
);
CREATE INDEX gap_group_channel ON gap_group (channel, direction, id);
CREATE INDEX gap_group_unfinished ON gap_group (id) WHERE ended_at IS NULL;

-- Every step of a gap's life from its opening on; the gap's own row has only the last.
CREATE TABLE gap_step (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gap_id bigint NOT NULL,
    channel text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    reason text,
    decided_by text
);
CREATE INDEX gap_step_gap ON gap_step (gap_id, id);
CREATE INDEX gap_step_channel ON gap_step (channel, gap_id, id);

CREATE TABLE comparison (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text COLLATE "C" NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint NOT NULL,
    whole bigint NOT NULL,
    in_step bigint NOT NULL,
    calls bigint NOT NULL,
    bytes bigint NOT NULL,
    vanished bigint NOT NULL,
    kind text COLLATE "C" NOT NULL
);
CREATE INDEX comparison_kind ON comparison (channel, kind, started_at);
CREATE INDEX comparison_channel ON comparison (channel, id);

CREATE TABLE comparison_total (
    channel text COLLATE "C" PRIMARY KEY,
    calls bigint NOT NULL,
    bytes bigint NOT NULL,
    vanished bigint NOT NULL
);

-- A dataset that differs so much that nothing is repaired by itself until a person has answered.
CREATE TABLE repair_stop (
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    since bigint NOT NULL,
    gaps bigint NOT NULL,
    ours bigint NOT NULL,
    theirs bigint NOT NULL,
    approved_at bigint,
    approved_by text,
    PRIMARY KEY (channel, dataset)
);

-- Background work that parts of the gateway ask of each other, and the right to be the only one who does something.
-- run_at = when it was asked for; due_at = when it can be claimed: the same while it waits, the end of the claim while it runs.
-- claimed_requested = how often it had been asked for when it was claimed; null while it waits.
CREATE TABLE job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    channel text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    run_at bigint NOT NULL,
    requested bigint NOT NULL,
    failures bigint NOT NULL,
    due_at bigint NOT NULL,
    claimed_requested bigint,
    UNIQUE (kind, channel, subject)
);
CREATE INDEX job_due ON job (kind, channel, due_at, id);

CREATE TABLE lease (
    name text COLLATE "C" PRIMARY KEY,
    holder text COLLATE "C",
    epoch bigint NOT NULL,
    until bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE checkpoint (
    channel text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    value text NOT NULL,
    saved_at bigint NOT NULL,
    PRIMARY KEY (channel, name)
) WITH (fillfactor = 50);

-- The largest id ever given of a table whose rows may go, so that none is given again.
CREATE TABLE given_id (
    name text COLLATE "C" PRIMARY KEY,
    last bigint NOT NULL
) WITH (fillfactor = 50);

-- Incidents, who was told of them, and what nobody wants to be told of.
-- channel is '' where an incident is about no channel, so that the unique index covers it. unsettled = somebody has still to be told of its end.
-- told = what each notifier was told, a JSON object by notifier.
CREATE TABLE incident (
    id bigint PRIMARY KEY,
    found_by text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    channel text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    severity text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    facts text NOT NULL,
    since bigint NOT NULL,
    first_seen_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    absent_since bigint,
    opened_at bigint,
    resolved_at bigint,
    escalation bigint NOT NULL,
    escalated_at bigint,
    told text NOT NULL,
    unsettled bigint NOT NULL,
    acknowledged_at bigint,
    acknowledged_by text
);
CREATE UNIQUE INDEX incident_cause ON incident (code, channel, subject) WHERE state <> 'resolved';
CREATE INDEX incident_live ON incident (id) WHERE state <> 'resolved' OR unsettled = 1;
CREATE INDEX incident_state ON incident (state, id);
CREATE INDEX incident_resolved ON incident (resolved_at) WHERE resolved_at IS NOT NULL;

-- When incidents opened and were resolved, kept when the incidents themselves are dropped, so that a report of that time can always be made.
CREATE TABLE incident_life (
    incident_id bigint PRIMARY KEY,
    channel text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    opened_at bigint NOT NULL,
    resolved_at bigint
);
CREATE INDEX incident_life_opened ON incident_life (opened_at);

CREATE TABLE notification (
    id bigint PRIMARY KEY,
    key text COLLATE "C" NOT NULL UNIQUE,
    notifier text COLLATE "C" NOT NULL,
    summary bigint NOT NULL,
    items text NOT NULL,
    state text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    due_at bigint NOT NULL,
    attempts bigint NOT NULL,
    error text,
    ended_at bigint
);
CREATE INDEX notification_owed ON notification (notifier, id) WHERE state = 'owed';
CREATE INDEX notification_ended ON notification (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE notification_incident (
    incident_id bigint NOT NULL,
    notification_id bigint NOT NULL,
    news text COLLATE "C" NOT NULL,
    PRIMARY KEY (incident_id, notification_id)
);
CREATE INDEX notification_incident_notification ON notification_incident (notification_id);

-- A null matches everything.
CREATE TABLE silence (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text COLLATE "C",
    channel text COLLATE "C",
    subject text COLLATE "C",
    starts_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    reason text NOT NULL,
    made_by text NOT NULL,
    created_at bigint NOT NULL,
    ended_by text
);
CREATE INDEX silence_end ON silence (ends_at);

-- How each notifier, and the heartbeat, fares.
CREATE TABLE notifier (
    id text COLLATE "C" PRIMARY KEY,
    sent_at bigint,
    failing_since bigint,
    failures bigint NOT NULL,
    error text
);

-- The books through time, by day (China time). Two times in a row: `day` = what it is of, `as_of_day` = when it was so. A row of a past as_of_day is
-- never written again, so whatever is asked as of a day that is over is answered the same for ever.
-- A day's bucket of the state book as it stood at the end of as_of_day, or stands now where that is today; changed_at = when it last changed on it.
CREATE TABLE book_day (
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    side text COLLATE "C" NOT NULL,
    projection_version bigint NOT NULL,
    as_of_day text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    sum bytea NOT NULL,
    changed_at bigint NOT NULL,
    PRIMARY KEY (channel, dataset, day, side, projection_version, as_of_day)
);

-- What the channel's own account said of a day, the last time it was asked on as_of_day; sum is null where it only counts.
CREATE TABLE account_day (
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    as_of_day text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    sum bytea,
    as_of bigint NOT NULL,
    PRIMARY KEY (channel, dataset, day, as_of_day)
);

-- Days [from_day, to_day) of which the channel's account was ours by one sum, the last time on as_of_day: each of them was then as our book had it.
CREATE TABLE account_span (
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    from_day text COLLATE "C" NOT NULL,
    to_day text COLLATE "C" NOT NULL,
    as_of_day text COLLATE "C" NOT NULL,
    as_of bigint NOT NULL,
    compared_at bigint NOT NULL,
    PRIMARY KEY (channel, dataset, from_day, to_day, as_of_day)
);

-- Changes by the day on which they ended. dataset '' = what could not be decoded.
CREATE TABLE flow_day (
    channel text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    changes bigint NOT NULL,
    PRIMARY KEY (channel, dataset, day, outcome)
) WITH (fillfactor = 70);

-- Deliveries by the day on which they were decided and where they stand: what as_of_day added and took away. The sum up to a day is the state then.
CREATE TABLE delivery_day (
    destination text COLLATE "C" NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    as_of_day text COLLATE "C" NOT NULL,
    deliveries bigint NOT NULL,
    sent bigint NOT NULL,
    PRIMARY KEY (destination, dataset, day, state, as_of_day)
) WITH (fillfactor = 70);

-- How long each leg took, by the day on which it ended: a histogram whose bucket n holds up to 1.2^n ms.
CREATE TABLE latency_day (
    channel text COLLATE "C" NOT NULL,
    leg text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    bucket bigint NOT NULL,
    count bigint NOT NULL,
    max_ms bigint NOT NULL,
    PRIMARY KEY (channel, leg, day, bucket)
) WITH (fillfactor = 70);

-- A channel's habit: how many records it sent of itself in each hour, and for how long of each hour the gateway was there to see.
-- hour_at is the first instant of the hour; the hours of UTC are those of China.
CREATE TABLE arrival_hour (
    channel text COLLATE "C" NOT NULL,
    hour_at bigint NOT NULL,
    records bigint NOT NULL,
    PRIMARY KEY (channel, hour_at)
) WITH (fillfactor = 50);

CREATE TABLE watched_hour (
    hour_at bigint PRIMARY KEY,
    watched_ms bigint NOT NULL
) WITH (fillfactor = 50);
