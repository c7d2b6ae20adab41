SELECT coalesce(sum(calls), 0), coalesce(sum(bytes), 0), coalesce(sum(vanished), 0) FROM comparison_total
