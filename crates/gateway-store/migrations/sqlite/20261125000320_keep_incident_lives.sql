-- When incidents opened and were resolved, kept when the incidents themselves are dropped, so that a report of that time can always be made.
-- channel is '' where an incident is about no channel.
CREATE TABLE incident_life (
    incident_id INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    code TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    resolved_at INTEGER
) STRICT;
CREATE INDEX incident_life_opened ON incident_life (opened_at);

INSERT INTO incident_life (incident_id, channel, code, opened_at, resolved_at)
SELECT id, channel, code, opened_at, resolved_at FROM incident WHERE opened_at IS NOT NULL AND state <> 'suspected';
