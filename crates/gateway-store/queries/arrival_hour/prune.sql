DELETE FROM arrival_hour WHERE channel = $1 AND hour_at < $2
