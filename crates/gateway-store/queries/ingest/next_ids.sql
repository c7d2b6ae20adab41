SELECT
    (SELECT coalesce(max(id), 0) + 1 FROM raw_record),
    (SELECT coalesce(max(feed_seq), 0) + 1 FROM work_order),
    (SELECT coalesce(max(id), 0) + 1 FROM delivery)
