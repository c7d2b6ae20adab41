-- Operating data 运营数据, and how orders compare with it.

-- key = plate, keyed hash of a driver's permit number, or a company's name as it is compared; from_at, until_at = of a trip, else 0; facts = JSON, persons
-- as keyed hashes only.
CREATE TABLE registry_entry (
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    from_at bigint NOT NULL,
    until_at bigint NOT NULL,
    facts text NOT NULL,
    PRIMARY KEY (kind, key, from_at)
);

-- The last import of each kind that changed something; seq ascends over all kinds.
CREATE TABLE registry_import (
    kind text COLLATE "C" PRIMARY KEY,
    seq bigint NOT NULL,
    entries bigint NOT NULL,
    imported_at bigint NOT NULL
);

-- subject = JSON, what the channel said that can be compared; result = JSON, what came of it after import registry_seq.
CREATE TABLE verification (
    order_id uuid NOT NULL,
    channel text COLLATE "C" NOT NULL,
    raw_id bigint NOT NULL,
    subject text NOT NULL,
    verdict text COLLATE "C" NOT NULL,
    result text NOT NULL,
    registry_seq bigint NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (order_id, channel)
);

CREATE INDEX verification_by_seq ON verification (registry_seq, order_id);
