SELECT
    current_setting('server_version_num')::int4,
    current_setting('server_encoding'),
    pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool,
    current_schema()::text
