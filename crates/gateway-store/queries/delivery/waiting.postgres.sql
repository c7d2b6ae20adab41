WITH waiting AS (
    SELECT destination, state,
        CASE
            WHEN state = 'held' THEN coalesce(last_attempt_ended_at, created_at)
            WHEN generation = 1 THEN created_at
            WHEN attempts = 0 THEN next_attempt_at
            ELSE coalesce(
                (SELECT a.started_at FROM delivery_attempt AS a WHERE a.delivery_id = d.id AND a.generation = d.generation AND a.attempt = 1),
                next_attempt_at)
        END AS since
    FROM delivery AS d
    WHERE destination = $1 AND state IN ('owed', 'sending', 'pending', 'ambiguous', 'held')
)
SELECT state, count(*), count(*) FILTER (WHERE since < $2), min(since)
FROM waiting
GROUP BY state
ORDER BY state
