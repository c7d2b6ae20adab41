INSERT INTO comparison_total (channel, calls, bytes, vanished)
VALUES (?, ?, ?, ?)
ON CONFLICT (channel) DO UPDATE SET
    calls = comparison_total.calls + excluded.calls,
    bytes = comparison_total.bytes + excluded.bytes,
    vanished = comparison_total.vanished + excluded.vanished
