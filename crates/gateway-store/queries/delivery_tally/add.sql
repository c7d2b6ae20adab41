INSERT INTO delivery_tally (destination, dataset, state, deliveries, sent)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (destination, dataset, state) DO UPDATE SET
    deliveries = delivery_tally.deliveries + excluded.deliveries,
    sent = delivery_tally.sent + excluded.sent
