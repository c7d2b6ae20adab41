INSERT INTO moving_table (name, rows, whole) VALUES ($1, 0, 0)
