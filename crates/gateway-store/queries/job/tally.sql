SELECT kind, channel, count(*) FROM job GROUP BY kind, channel ORDER BY kind, channel
