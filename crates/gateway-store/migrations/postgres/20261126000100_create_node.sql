-- What each process of the gateway last told of itself.

-- holder = this start of it; key_print = what tells content keys apart without telling the key; roles = words between commas; findings = JSON, what
-- only the process itself can see to be wrong; spool_… = what it holds that is not on the bus yet.
CREATE TABLE node (
    name text COLLATE "C" PRIMARY KEY,
    holder text COLLATE "C" NOT NULL,
    roles text NOT NULL,
    version text NOT NULL,
    key_print text NOT NULL,
    started_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    stopped_at bigint,
    spool_messages bigint NOT NULL,
    spool_oldest_at bigint,
    findings text NOT NULL
) WITH (fillfactor = 50);
