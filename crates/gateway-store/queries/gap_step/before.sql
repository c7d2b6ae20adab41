SELECT gap_id, at, state, generation, reason, decided_by
FROM gap_step
WHERE channel = $1 AND at < $2
ORDER BY gap_id, id
