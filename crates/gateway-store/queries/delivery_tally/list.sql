SELECT destination, dataset, state, deliveries, sent
FROM delivery_tally
WHERE deliveries <> 0
ORDER BY destination, dataset, state
