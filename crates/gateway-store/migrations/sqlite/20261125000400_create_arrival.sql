-- A channel's habit: how many records it sent of itself in each hour, and for how long of each hour the gateway was there to see.
-- hour_at is the first instant of the hour; the hours of UTC are those of China.

CREATE TABLE arrival_hour (
    channel TEXT NOT NULL,
    hour_at INTEGER NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (channel, hour_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE watched_hour (
    hour_at INTEGER PRIMARY KEY,
    watched_ms INTEGER NOT NULL
) STRICT;
