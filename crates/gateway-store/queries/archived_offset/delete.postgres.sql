DELETE FROM archived_offset WHERE month = $1
