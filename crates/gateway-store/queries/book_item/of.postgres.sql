-- Channel and dataset are kept from being looked up, so that only the key by number can serve: as long as a new table has no statistics, the server
-- would take the index by time and read all items of the dataset for each key.
SELECT b.channel, b.dataset, b.number, b.day, b.part, b.side, b.projection_version, b.event_time, b.digest
FROM UNNEST($1, $2, $3, $4, $5) AS wanted (channel, dataset, number, day, part)
JOIN book_item AS b
    ON b.channel || '' = wanted.channel
    AND b.dataset || '' = wanted.dataset
    AND b.number = wanted.number
    AND b.day = wanted.day
    AND b.part = wanted.part
