SELECT channel, sum(changes) FROM parked_record GROUP BY channel ORDER BY channel
