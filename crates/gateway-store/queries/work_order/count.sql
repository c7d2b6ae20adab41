SELECT count(*) FROM work_order
