SELECT coalesce((SELECT look_up_at FROM verification WHERE look_up_at <= $1 LIMIT 1), 0)
