INSERT INTO verification (order_id, channel, raw_id, subject, verdict, result, registry_seq, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (order_id, channel) DO UPDATE SET
    verdict = excluded.verdict, result = excluded.result, registry_seq = excluded.registry_seq, at = excluded.at
WHERE verification.raw_id = excluded.raw_id AND verification.registry_seq < excluded.registry_seq
