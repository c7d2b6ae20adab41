-- Never an id that was given again.
SELECT coalesce((SELECT last FROM given_id WHERE name = 'incident'), 0) + 1
