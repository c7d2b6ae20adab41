-- Over with its last unfinished gap, and under way again when one is opened anew.
UPDATE gap_group SET ended_at = CASE
    WHEN EXISTS (SELECT 1 FROM gap WHERE group_id = $1 AND state IN ('open', 'repairing')) THEN NULL
    ELSE coalesce(ended_at, $2)
END
WHERE id = $1
