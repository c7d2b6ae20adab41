SELECT channel, CAST(sum(changes) AS BIGINT) FROM parked_record GROUP BY channel ORDER BY channel
