CREATE TABLE schema_migration (version bigint PRIMARY KEY, name text NOT NULL);
