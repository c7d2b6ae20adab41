SELECT gap_id, at, state, generation, reason, decided_by
FROM gap_step
WHERE gap_id IN (SELECT value FROM json_each($1))
ORDER BY gap_id, id
