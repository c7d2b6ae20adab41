SELECT value FROM checkpoint WHERE channel = $1 AND name = $2
