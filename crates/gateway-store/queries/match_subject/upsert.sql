INSERT INTO match_subject (order_id, channel, part, content_hash, lead_id, at, subject)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (order_id) DO UPDATE SET
    channel = excluded.channel, part = excluded.part, content_hash = excluded.content_hash,
    lead_id = excluded.lead_id, at = excluded.at, subject = excluded.subject
