INSERT INTO verification (order_id, channel, raw_id, subject, verdict, result, registry_seq, at, looked_up, look_up_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (order_id, channel) DO UPDATE SET
    verdict = excluded.verdict, result = excluded.result, registry_seq = excluded.registry_seq, at = excluded.at,
    looked_up = excluded.looked_up, look_up_at = excluded.look_up_at
WHERE verification.raw_id = excluded.raw_id AND verification.registry_seq < excluded.registry_seq
