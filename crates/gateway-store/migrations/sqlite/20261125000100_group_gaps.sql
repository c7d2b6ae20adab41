-- Gaps in groups, what the reconciler remembers of comparisons, and datasets whose automatic repair a person must answer for.

CREATE TABLE gap_group (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    direction TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    last_opened_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX gap_group_channel ON gap_group (channel, direction, id);
CREATE INDEX gap_group_unfinished ON gap_group (id) WHERE ended_at IS NULL;

ALTER TABLE gap ADD COLUMN group_id INTEGER REFERENCES gap_group (id);
ALTER TABLE gap ADD COLUMN detail TEXT;
CREATE INDEX gap_group_id ON gap (group_id, state) WHERE group_id IS NOT NULL;

-- What was confirmed before there were groups: one for each channel and direction.
INSERT INTO gap_group (channel, direction, opened_at, last_opened_at, ended_at)
SELECT
    channel,
    CASE WHEN kind IN ('not_held_by_destination', 'held_differently') THEN 'outbound' ELSE 'inbound' END AS way,
    min(opened_at),
    max(opened_at),
    CASE WHEN max(state IN ('open', 'repairing')) = 1 THEN NULL ELSE max(ended_at) END
FROM gap
WHERE opened_at IS NOT NULL
GROUP BY channel, way;
UPDATE gap SET group_id = (
    SELECT g.id
    FROM gap_group AS g
    WHERE g.channel = gap.channel
        AND g.direction
            = CASE WHEN gap.kind IN ('not_held_by_destination', 'held_differently') THEN 'outbound' ELSE 'inbound' END
)
WHERE opened_at IS NOT NULL;

ALTER TABLE comparison ADD COLUMN kind TEXT NOT NULL DEFAULT 'look';
UPDATE comparison SET kind = 'whole' WHERE whole = 1;
CREATE INDEX comparison_kind ON comparison (channel, kind, started_at);
CREATE INDEX comparison_channel ON comparison (channel, id);

-- A dataset that differs so much that nothing is repaired by itself until a person has answered.
CREATE TABLE repair_stop (
    channel TEXT NOT NULL,
    dataset TEXT NOT NULL,
    since INTEGER NOT NULL,
    gaps INTEGER NOT NULL,
    ours INTEGER NOT NULL,
    theirs INTEGER NOT NULL,
    approved_at INTEGER,
    approved_by TEXT,
    PRIMARY KEY (channel, dataset)
) STRICT, WITHOUT ROWID;
