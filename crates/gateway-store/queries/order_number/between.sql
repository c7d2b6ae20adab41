SELECT DISTINCT number FROM order_number WHERE channel = $1 AND number >= $2 AND number < $3 ORDER BY number LIMIT $4
