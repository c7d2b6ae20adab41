SELECT hour_at, records FROM arrival_hour WHERE channel = $1 AND hour_at >= $2 ORDER BY hour_at
