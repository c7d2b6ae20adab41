UPDATE attachment SET state = 'withdrawn', fetch_at = NULL
FROM json_each($1) AS wanted
WHERE attachment.order_id = unhex(wanted.value ->> 0) AND attachment.channel = wanted.value ->> 1
    AND attachment.raw_id <> wanted.value ->> 2 AND attachment.state <> 'kept'
