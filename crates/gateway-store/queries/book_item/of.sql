SELECT b.channel, b.dataset, b.number, b.day, b.part, b.side, b.projection_version, b.event_time, b.digest
FROM json_each($1) AS wanted
CROSS JOIN book_item AS b
    ON b.channel = wanted.value ->> 0
    AND b.dataset = wanted.value ->> 1
    AND b.number = wanted.value ->> 2
    AND b.day = wanted.value ->> 3
    AND b.part = wanted.value ->> 4
