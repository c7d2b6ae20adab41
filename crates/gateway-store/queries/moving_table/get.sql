SELECT rows, after_key, whole FROM moving_table WHERE name = $1
