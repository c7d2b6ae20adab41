SELECT month, holds, looked_at
FROM month_left
ORDER BY month
