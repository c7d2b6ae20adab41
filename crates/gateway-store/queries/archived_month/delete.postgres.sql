DELETE FROM archived_month WHERE month = $1
