DELETE FROM match_subject
WHERE order_id IN (VALUES (?))
