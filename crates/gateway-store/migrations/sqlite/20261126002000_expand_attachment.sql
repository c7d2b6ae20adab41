-- Attachments 附件: files that records refer to. reference = the channel's own word for a file; digest = SHA-256 of the bytes, which lie in the attachment
-- directory; error = code of the last attempt; fetch_at = when it is asked for next, NULL where nothing is owed.
CREATE TABLE attachment (
    id BLOB PRIMARY KEY NOT NULL,
    order_id BLOB NOT NULL REFERENCES work_order (id),
    channel TEXT NOT NULL,
    reference TEXT NOT NULL,
    raw_id INTEGER NOT NULL,
    state TEXT NOT NULL,
    digest BLOB,
    size_bytes INTEGER NOT NULL,
    media_type TEXT,
    attempts INTEGER NOT NULL,
    error TEXT,
    owed_at INTEGER NOT NULL,
    fetched_at INTEGER,
    fetch_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX attachment_by_order ON attachment (order_id, channel);
CREATE INDEX attachment_owed ON attachment (channel, fetch_at, id) WHERE fetch_at IS NOT NULL;
CREATE INDEX attachment_lacking ON attachment (channel, id) WHERE state IN ('owed', 'missing', 'refused');
