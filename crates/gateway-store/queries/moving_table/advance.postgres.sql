-- Only from where it was believed to be: two that carry at once would write rows twice.
UPDATE moving_table
SET rows = rows + $3, after_key = $4
WHERE name = $1 AND whole = 0 AND after_key IS NOT DISTINCT FROM $2
