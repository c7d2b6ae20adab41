SELECT DISTINCT number FROM order_number WHERE channel = $1 AND number < $2 ORDER BY number DESC LIMIT $3
