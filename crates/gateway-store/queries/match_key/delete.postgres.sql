DELETE FROM match_key WHERE order_id = ANY ($1)
