-- An embedded installation that is carried into this store: whole, or not to be used.

-- ended_at = when everything was carried and verified; null while this store is half of something. source_schema = the source's newest migration.
CREATE TABLE moving (
    id uuid PRIMARY KEY,
    source_schema bigint NOT NULL,
    began_at bigint NOT NULL,
    ended_at bigint
);

-- after_key = the last key carried, in JSON; null before the first. whole = 1 when the table has no rows left to carry.
CREATE TABLE moving_table (
    name text COLLATE "C" PRIMARY KEY,
    rows bigint NOT NULL,
    after_key text,
    whole bigint NOT NULL
);
