INSERT INTO match_channel (channel)
VALUES (?)
ON CONFLICT (channel) DO NOTHING
