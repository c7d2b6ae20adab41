DELETE FROM book_item
WHERE (channel, dataset, number, day, part) IN (
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each($1)
)
