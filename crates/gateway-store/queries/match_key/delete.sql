DELETE FROM match_key WHERE order_id IN (SELECT unhex(value) FROM json_each($1))
