-- What a process holds that is not on the bus yet, by channel: JSON, so that its silence can be a gap of just those channels.

ALTER TABLE node ADD COLUMN spool TEXT NOT NULL DEFAULT '[]';
