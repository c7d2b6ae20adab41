-- Attachments 附件: files that records refer to. reference = the channel's own word for a file; digest = SHA-256 of the bytes, which lie in the attachment
-- directory; error = code of the last attempt; fetch_at = when it is asked for next, NULL where nothing is owed.
CREATE TABLE attachment (
    id bytea PRIMARY KEY,
    order_id uuid NOT NULL,
    channel text COLLATE "C" NOT NULL,
    reference text COLLATE "C" NOT NULL,
    raw_id bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    digest bytea,
    size_bytes bigint NOT NULL,
    media_type text COLLATE "C",
    attempts bigint NOT NULL,
    error text COLLATE "C",
    owed_at bigint NOT NULL,
    fetched_at bigint,
    fetch_at bigint
);

CREATE INDEX attachment_by_order ON attachment (order_id, channel);
CREATE INDEX attachment_owed ON attachment (channel, fetch_at, id) WHERE fetch_at IS NOT NULL;
CREATE INDEX attachment_lacking ON attachment (channel, id) WHERE state IN ('owed', 'missing', 'refused');
