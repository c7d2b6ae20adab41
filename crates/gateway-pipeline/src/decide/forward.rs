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
        for destination in
            self.takers(self.decider.routes.destinations(&meta.channel, change.dataset), order_id, change, heard, meta)
        {
            let member = self.member_at(order_id, &destination);
            if self.is_spared(order_id, member, change.dataset, &change.part, &meta.channel, &destination) {
                continue;
            }
            if member == order_id {
                self.number_at(order_id, change, &meta.channel, &destination);
            }
            self.supersede_owed(member, &destination, |operation, dataset, part, _| {
                operation == Operation::Forward && dataset == change.dataset && *part == change.part
            });
            self.owe(member, change, destination, meta, raw_id);
        }
    }

    /// A head that is said again is owed to those who were never owed it: what was stated before their rule was there gets to them by reading
    /// the past again.
    pub(super) fn forward_missing(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta, raw_id: RawId) {
        if !self.decider.routes.any_from(&meta.channel) {
            return;
        }
        // Nearly always each was owed it long ago; whose word it is, is asked for the others alone.
        let mut missing = self.decider.routes.destinations(&meta.channel, change.dataset);
        let members = self.members(order_id);
        missing.retain(|destination| !members.iter().any(|member| self.was_forwarded(*member, change, destination)));
        if missing.is_empty() {
            return;
        }
        let heard = self.whose(order_id, change, meta);
        for destination in self.takers(missing, order_id, change, &heard, meta) {
            let member = self.member_at(order_id, &destination);
            if self.is_spared(order_id, member, change.dataset, &change.part, &meta.channel, &destination) {
                continue;
            }
            if member == order_id {
                self.number_at(order_id, change, &meta.channel, &destination);
            }
            self.owe(member, change, destination, meta, raw_id);
        }
    }

    /// Whether a destination was ever owed the item, stored before or decided in this batch.
    fn was_forwarded(&self, order_id: OrderId, change: &Change, destination: &ChannelId) -> bool {
        let same = |operation, to: &ChannelId, dataset, part: &Part| {
            operation == Operation::Forward && to == destination && dataset == change.dataset && *part == change.part
        };
        let stored = self.orders.get(&order_id).is_some_and(|working| {
            let mut deliveries = working.aggregate.deliveries.iter();
            deliveries.any(|row| same(row.operation, &row.destination, row.dataset, &row.part))
        });
        let mut decided = self.writes.new_deliveries.iter().filter(|new| new.order_id == order_id);
        stored || decided.any(|new| same(new.operation, &new.destination, new.dataset, &new.part))
    }

    /// Those of these destinations that take the item, and did not say it themselves. One that takes no orders of others (a citizen's front end)
    /// is owed only what concerns its own.
    fn takers(
        &self,
        mut owed: Vec<ChannelId>,
        order_id: OrderId,
        change: &Change,
        heard: &Heard,
        meta: &RawMeta,
    ) -> Vec<ChannelId> {
        // The desk speaks in commands, which are routed as such.
        if !self.decider.normalizers.has(&meta.channel) {
            return Vec::new();
        }
        let members = self.members(order_id);
        let has_number = |destination: &ChannelId| {
            let orders = members.iter().filter_map(|member| self.orders.get(member));
            orders.flat_map(|working| &working.aggregate.numbers).any(|number| number.channel == *destination)
        };
        owed.retain(|destination| {
            let came_from_there = matches!(heard, Heard::EchoOf(origin) if origin == destination);
            let sink = self.decider.normalizers.sink(destination);
            // Of its own order a platform that takes operations is asked by these.
            let asked = self.asks(order_id, &meta.channel, destination);
            !came_from_there
                && !asked
                && sink.is_some_and(|sink| {
                    sink.forwards(change.dataset, &change.part) && (sink.takes_orders() || has_number(destination))
                })
        });
        owed
    }

    fn owe(&mut self, order_id: OrderId, change: &Change, destination: ChannelId, meta: &RawMeta, raw_id: RawId) {
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
}
