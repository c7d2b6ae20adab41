SELECT channel, dataset, max(projection_version)
FROM (
    SELECT channel, dataset, projection_version FROM book_bucket
    UNION
    SELECT channel, dataset, projection_version FROM book_item
) AS book
GROUP BY channel, dataset
ORDER BY channel, dataset
