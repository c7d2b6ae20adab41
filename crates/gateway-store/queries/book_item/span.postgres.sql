-- By dataset, so that each end is one step into the index.
SELECT
    min((SELECT min(event_at) FROM book_item WHERE channel = $1 AND dataset = wanted.value)),
    max((SELECT max(event_at) FROM book_item WHERE channel = $1 AND dataset = wanted.value))
FROM UNNEST($2) AS wanted (value)
