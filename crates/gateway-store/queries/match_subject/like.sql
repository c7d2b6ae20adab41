-- The latest of each other channel by each key. A key is far more common at some channels than at others, so each channel has its own part of the index.
SELECT wanted.value ->> 0, s.order_id, s.channel, s.at, s.subject
FROM json_each($1) AS wanted
CROSS JOIN match_channel ON match_channel.channel <> wanted.value ->> 2
CROSS JOIN match_subject AS s ON s.order_id IN (
    SELECT k.order_id
    FROM match_key AS k
    WHERE
        k.key = unhex(wanted.value ->> 1)
        AND k.channel = match_channel.channel
        AND k.at >= wanted.value ->> 3
        AND k.at <= wanted.value ->> 4
    ORDER BY k.at DESC, k.order_id DESC
    LIMIT $2
)
