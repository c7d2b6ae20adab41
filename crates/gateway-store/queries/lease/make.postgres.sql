INSERT INTO lease (name, epoch, until) VALUES ($1, 0, $2) ON CONFLICT (name) DO NOTHING
