SELECT bus_offset
FROM raw_record
WHERE topic = $1 AND partition = $2 AND bus_offset >= $3 AND bus_offset < $4
ORDER BY bus_offset
