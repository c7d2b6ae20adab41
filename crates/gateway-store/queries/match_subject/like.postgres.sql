-- The latest of each other channel by each key. A key is far more common at some channels than at others, so each channel has its own part of the index.
SELECT wanted.asked, s.order_id, s.channel, s.at, s.subject
FROM UNNEST($1, $2, $3, $4, $5) AS wanted (asked, key, channel, from_at, until_at)
JOIN match_channel AS c ON c.channel <> wanted.channel
CROSS JOIN LATERAL (
    SELECT k.order_id
    FROM match_key AS k
    WHERE k.key = wanted.key AND k.channel = c.channel AND k.at >= wanted.from_at AND k.at <= wanted.until_at
    ORDER BY k.at DESC, k.order_id DESC
    LIMIT $6
) AS found
JOIN match_subject AS s ON s.order_id = found.order_id
