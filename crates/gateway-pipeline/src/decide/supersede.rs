//! Superseding: a newer word on the same matter makes one needless that is not there yet.

use super::batch::Decision;
use gateway_model::{ChannelId, Dataset, DeliveryId, DeliveryState, Operation, OrderId, Part};
use gateway_store::DeliveryUpdate;
use std::collections::BTreeSet;

impl Decision<'_> {
    /// Ends the deliveries of the same matter (operation, dataset, part, round) that were never tried, or tried and certainly not taken. They
    /// may have been stored before or decided in this batch. A redelivery is left alone: its first generation was taken.
    pub(super) fn supersede_owed(
        &mut self,
        order_id: OrderId,
        destination: &ChannelId,
        same_matter: impl Fn(Operation, Dataset, &Part, u32) -> bool,
    ) {
        let Some(working) = self.orders.get_mut(&order_id) else { return };
        let stored = working.aggregate.deliveries.iter_mut().filter(|delivery| {
            delivery.destination == *destination
                && same_matter(delivery.operation, delivery.dataset, &delivery.part, delivery.round)
                && delivery.state == DeliveryState::Owed
                && !delivery.unanswered
                && delivery.generation == 1
        });
        let mut needless: Vec<DeliveryId> = stored
            .map(|delivery| {
                delivery.state = DeliveryState::Superseded;
                delivery.id
            })
            .collect();
        let known: BTreeSet<DeliveryId> = self.writes.delivery_updates.iter().map(|update| update.id).collect();
        let decided = self.writes.new_deliveries.iter().filter(|delivery| {
            delivery.order_id == order_id
                && delivery.destination == *destination
                && same_matter(delivery.operation, delivery.dataset, &delivery.part, delivery.round)
                && !known.contains(&delivery.id)
        });
        needless.extend(decided.map(|delivery| delivery.id));
        for id in needless {
            self.writes.delivery_updates.push(DeliveryUpdate {
                id,
                state: DeliveryState::Superseded,
                receipt: None,
                next_attempt_at: None,
                reason_code: Some("superseded".into()),
                reason: Some("a newer one of the same matter takes its place".into()),
            });
        }
    }
}
