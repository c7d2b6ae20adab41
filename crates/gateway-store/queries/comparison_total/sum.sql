SELECT
    CAST(coalesce(sum(calls), 0) AS BIGINT),
    CAST(coalesce(sum(bytes), 0) AS BIGINT),
    CAST(coalesce(sum(vanished), 0) AS BIGINT)
FROM comparison_total
