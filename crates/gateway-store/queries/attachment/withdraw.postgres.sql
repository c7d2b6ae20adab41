UPDATE attachment AS a SET state = 'withdrawn', fetch_at = NULL
FROM UNNEST($1, $2, $3) AS wanted (order_id, channel, raw_id)
WHERE a.order_id = wanted.order_id AND a.channel = wanted.channel AND a.raw_id <> wanted.raw_id AND a.state <> 'kept'
