SELECT s.pair_id, s.at, s.state, s.by, s.reason FROM order_pair_step AS s WHERE s.pair_id = $1 ORDER BY s.at
