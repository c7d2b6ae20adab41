-- Incidents, who was told of them, and what nobody wants to be told of.

-- channel is '' where an incident is about no channel, so that the unique index covers it. unsettled = somebody has still to be told of its end.
-- told = what each notifier was told, a JSON object by notifier.
CREATE TABLE incident (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    found_by TEXT NOT NULL,
    code TEXT NOT NULL,
    channel TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    severity TEXT NOT NULL,
    count INTEGER NOT NULL,
    facts TEXT NOT NULL,
    since INTEGER NOT NULL,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    absent_since INTEGER,
    opened_at INTEGER,
    resolved_at INTEGER,
    escalation INTEGER NOT NULL,
    escalated_at INTEGER,
    told TEXT NOT NULL,
    unsettled INTEGER NOT NULL,
    acknowledged_at INTEGER,
    acknowledged_by TEXT
) STRICT;
CREATE UNIQUE INDEX incident_cause ON incident (code, channel, subject) WHERE state <> 'resolved';
CREATE INDEX incident_live ON incident (id) WHERE state <> 'resolved' OR unsettled = 1;
CREATE INDEX incident_state ON incident (state, id);
CREATE INDEX incident_resolved ON incident (resolved_at) WHERE resolved_at IS NOT NULL;

CREATE TABLE notification (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    notifier TEXT NOT NULL,
    summary INTEGER NOT NULL,
    items TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT,
    ended_at INTEGER
) STRICT;
CREATE INDEX notification_owed ON notification (notifier, id) WHERE state = 'owed';
CREATE INDEX notification_ended ON notification (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE notification_incident (
    incident_id INTEGER NOT NULL,
    notification_id INTEGER NOT NULL,
    news TEXT NOT NULL,
    PRIMARY KEY (incident_id, notification_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX notification_incident_notification ON notification_incident (notification_id);

-- A null matches everything.
CREATE TABLE silence (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    code TEXT,
    channel TEXT,
    subject TEXT,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    made_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ended_by TEXT
) STRICT;
CREATE INDEX silence_end ON silence (ends_at);

-- How each notifier, and the heartbeat, fares.
CREATE TABLE notifier (
    id TEXT PRIMARY KEY NOT NULL,
    sent_at INTEGER,
    failing_since INTEGER,
    failures INTEGER NOT NULL,
    error TEXT
) STRICT, WITHOUT ROWID;
