SELECT saved_at FROM checkpoint WHERE channel = $1 AND name = $2
