-- The operating-data service's answer about an order, as JSON without a person; and when it is asked next, NULL where nothing is owed.
ALTER TABLE verification ADD COLUMN looked_up TEXT;
ALTER TABLE verification ADD COLUMN look_up_at INTEGER;

CREATE INDEX verification_owed ON verification (look_up_at, order_id, channel) WHERE look_up_at IS NOT NULL;
