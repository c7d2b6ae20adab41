SELECT count(*) FROM work_order AS o WHERE o.id = ANY ($1)
