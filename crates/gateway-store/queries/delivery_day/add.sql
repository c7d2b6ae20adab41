INSERT INTO delivery_day (destination, dataset, day, state, as_of_day, deliveries, sent)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (destination, dataset, day, state, as_of_day) DO UPDATE SET
    deliveries = delivery_day.deliveries + excluded.deliveries,
    sent = delivery_day.sent + excluded.sent
