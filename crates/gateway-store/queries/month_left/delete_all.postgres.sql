DELETE FROM month_left
