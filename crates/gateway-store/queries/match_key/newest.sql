SELECT k.order_id
FROM match_key AS k
WHERE k.key = $1 AND k.at >= $2 AND k.at < $3
ORDER BY k.at DESC, k.order_id
LIMIT $4
