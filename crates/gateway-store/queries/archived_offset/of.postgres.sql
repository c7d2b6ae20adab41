-- The runs of a partition of a topic that reach into a range.
SELECT first_offset, end_offset
FROM archived_offset
WHERE topic = $1 AND partition = $2 AND first_offset < $4 AND end_offset > $3
ORDER BY first_offset
