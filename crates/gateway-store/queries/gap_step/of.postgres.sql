SELECT gap_id, at, state, generation, reason, decided_by
FROM gap_step
WHERE gap_id = ANY ($1)
ORDER BY gap_id, id
