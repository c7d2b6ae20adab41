SELECT holder, epoch, until FROM lease WHERE name = $1 FOR UPDATE
