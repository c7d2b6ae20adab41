-- Months that are out: their tables lie in the schema `archive`, with their rows as they were. A month is written as 2025-01, China time.
CREATE TABLE archived_month (
    month text COLLATE "C" PRIMARY KEY,
    -- Of the records; null where the month had none.
    first_raw_id bigint,
    last_raw_id bigint,
    records bigint NOT NULL,
    changes bigint NOT NULL,
    bytes bigint NOT NULL,
    taken_at bigint NOT NULL,
    taken_by text NOT NULL
);

-- Which offsets of the bus those records have, in runs: what is out is not lost, also when its table was dropped.
CREATE TABLE archived_offset (
    topic text COLLATE "C" NOT NULL,
    partition bigint NOT NULL,
    first_offset bigint NOT NULL,
    end_offset bigint NOT NULL,
    month text COLLATE "C" NOT NULL,
    PRIMARY KEY (topic, partition, first_offset, month)
);
CREATE INDEX archived_offset_month ON archived_offset (month);

-- The months that the job left though they are old enough, and why (JSON), as of its last round.
CREATE TABLE month_left (
    month text COLLATE "C" PRIMARY KEY,
    holds text NOT NULL,
    looked_at bigint NOT NULL
);
