DELETE FROM job AS j
USING UNNEST($1, $2) AS done (id, requested)
WHERE j.id = done.id AND j.requested = done.requested
