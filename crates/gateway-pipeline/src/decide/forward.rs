//! Forwarding: what one channel stated is owed, as it stands, to the channels that the routing rules name.
//!
//! An order that the destination has no number for yet gets one here, in the transaction that makes it owed, so that whatever the destination says
//! of it later finds the order. What a channel says back of another's word goes on to third ones, and never back to whom it came from. A newer word on the same
//! item takes the place of one that was never sent.

use super::batch::Decision;
use super::hear::Heard;
use gateway_model::{Change, ChannelId, DeliveryId, Field, Operation, OrderId, OrderNumber, Part, RawId};
use gateway_store::{NewDelivery, RawMeta};

impl Decision<'_> {
    pub(super) fn forward(&mut self, order_id: OrderId, change: &Change, heard: &Heard, meta: &RawMeta, raw_id: RawId) {
        // The desk speaks in commands, which are routed as such.
        if !self.decider.normalizers.has(&meta.channel) {
            return;
        }
        for destination in self.decider.routes.destinations(&meta.channel, change.dataset) {
            let came_from_there = matches!(heard, Heard::EchoOf(origin) if *origin == destination);
            let taken = self.decider.normalizers.sink(&destination);
            let taken = taken.is_some_and(|sink| sink.forwards(change.dataset, &change.part));
            if came_from_there || !taken {
                continue;
            }
            self.number_at(order_id, change, &meta.channel, &destination);
            self.supersede_forward(order_id, change, &destination);
            let round = match change.part {
                Part::Cycle(cycle) if cycle > 0 => Some(cycle),
                _ => change.fields.number(Field::Round).and_then(|round| u32::try_from(round).ok()),
            };
            self.writes.new_deliveries.push(NewDelivery {
                id: DeliveryId(self.next_delivery_id),
                order_id,
                destination,
                from: meta.channel.clone(),
                operation: Operation::Forward,
                dataset: change.dataset,
                part: change.part.clone(),
                round: round.unwrap_or(0),
                raw_id,
                command_id: None,
                created_at: self.now,
            });
            self.next_delivery_id += 1;
            if let Some(working) = self.orders.get_mut(&order_id) {
                working.touch();
            }
        }
    }

    /// Gives the order its number at the destination, unless it has one there.
    fn number_at(&mut self, order_id: OrderId, change: &Change, from: &ChannelId, destination: &ChannelId) {
        let Some(day) = self.day_of(order_id, change, from) else { return };
        let origin = OrderNumber { channel: from.clone(), number: change.number.clone(), day };
        let Some(sink) = self.decider.normalizers.sink(destination) else { return };
        let Some(working) = self.orders.get_mut(&order_id) else { return };
        if working.aggregate.numbers.iter().any(|number| number.channel == *destination) {
            return;
        }
        // A destination that gives orders numbers of its own only: the delivery waits until it has told one.
        let Some(number) = sink.forward_number(&origin) else { return };
        let places = self.by_number.entry((destination.clone(), number.clone())).or_default();
        if places.contains_key(&day) {
            return;
        }
        places.insert(day, order_id);
        let number = OrderNumber { channel: destination.clone(), number, day };
        working.aggregate.numbers.push(number.clone());
        self.writes.numbers.push((order_id, number));
    }

    fn supersede_forward(&mut self, order_id: OrderId, change: &Change, destination: &ChannelId) {
        self.supersede_owed(order_id, destination, |operation, dataset, part, _| {
            operation == Operation::Forward && dataset == change.dataset && *part == change.part
        });
    }
}
