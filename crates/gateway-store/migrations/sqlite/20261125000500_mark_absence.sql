-- What a source does not hold any more: marks, so that nothing that a person may want to read is deleted.

-- whole_read_at = when the latest request was sent whose answer was the order's whole authoritative word, or that there is no such order;
-- absent_since = when the request was sent that found no such order, null while the source has it.
ALTER TABLE order_number ADD COLUMN whole_read_at INTEGER;
ALTER TABLE order_number ADD COLUMN absent_since INTEGER;

-- When the request was sent whose answer did not show the item any more; null while the channel says it.
ALTER TABLE facet ADD COLUMN gone_at INTEGER;
ALTER TABLE order_event ADD COLUMN gone_at INTEGER;
