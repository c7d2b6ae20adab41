UPDATE moving_table SET whole = 1 WHERE name = $1
