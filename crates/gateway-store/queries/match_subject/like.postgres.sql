-- The latest of each other channel by each key. A key is far more common at some channels than at others, so each channel has its own part of the index.
-- The server has no statistics of so small a table as that of the channels, and takes it for large: as an array it is small.
SELECT wanted.asked, found.order_id, found.channel, found.at, found.subject
FROM UNNEST($1, $2, $3, $4, $5) AS wanted (asked, key, channel, from_at, until_at)
JOIN UNNEST(ARRAY(SELECT m.channel FROM match_channel AS m)) AS c (channel) ON c.channel <> wanted.channel
CROSS JOIN LATERAL (
    SELECT s.order_id, s.channel, s.at, s.subject
    FROM match_key AS k
    JOIN match_subject AS s ON s.order_id = k.order_id
    WHERE k.key = wanted.key AND k.channel = c.channel AND k.at >= wanted.from_at AND k.at <= wanted.until_at
    ORDER BY k.at DESC, k.order_id DESC
    LIMIT $6
) AS found
