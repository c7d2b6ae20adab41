-- Channel and dataset as in of.postgres.sql.
DELETE FROM book_item AS b
USING UNNEST($1, $2, $3, $4, $5) AS wanted (channel, dataset, number, day, part)
WHERE b.channel || '' = wanted.channel
    AND b.dataset || '' = wanted.dataset
    AND b.number = wanted.number
    AND b.day = wanted.day
    AND b.part = wanted.part
