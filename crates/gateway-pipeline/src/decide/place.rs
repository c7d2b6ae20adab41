//! Where a change belongs: the order of its number and day, a new order, or the waiting room.
//!
//! Numbers wrap and collide, so number and creation day together name an order. A partial record gives no day: it belongs to the latest order of
//! its number, and waits while there is none. What it says is accounted for when it leaves the waiting room, never twice.

use super::batch::{Decision, Waiting};
use crate::applied::Working;
use gateway_model::{Change, ChannelId, Day, OrderId, OrderNumber, Origin, RawId, SourceNumber};
use gateway_store::{NewPark, RawMeta};

impl Decision<'_> {
    /// Applies the changes of one record. `body` is given where the record may have to be parked.
    pub(super) fn changes(&mut self, changes: &[Change], meta: &RawMeta, raw_id: RawId, body: Option<&[u8]>) {
        let mut created = Vec::new();
        let mut orderless: Vec<&Change> = Vec::new();
        for change in changes {
            let Some(order_id) = self.resolve(change, meta, raw_id, &mut created) else {
                orderless.push(change);
                continue;
            };
            let outcome = self.apply(order_id, change, meta, raw_id);
            self.tally(&meta.channel, Some(change.dataset), outcome);
        }
        self.owe_asked();
        if let (Some(first), Some(body)) = (orderless.first(), body) {
            // A partial record speaks of one order, so all its changes wait for the same number.
            self.park(first.number.clone(), orderless.len(), body, meta, raw_id);
        }
        if meta.origin == Origin::Reread {
            self.contradict(changes, meta);
            self.read_whole(changes, meta, raw_id);
        }
        self.spare_joined();
        for number in created {
            self.unpark(&meta.channel, &number);
        }
    }

    fn resolve(
        &mut self,
        change: &Change,
        meta: &RawMeta,
        raw_id: RawId,
        created: &mut Vec<SourceNumber>,
    ) -> Option<OrderId> {
        let channel = &meta.channel;
        let places = self.by_number.entry((channel.clone(), change.number.clone())).or_default();
        let Some(day) = change.day else {
            // What the source does not have any more is spoken of only where there is nothing else.
            let there = |(day, order_id): &(&Day, &OrderId)| {
                let number = OrderNumber { channel: channel.clone(), number: change.number.clone(), day: **day };
                !self.orders.get(order_id).is_some_and(|working| working.is_absent(&number))
            };
            let latest = places.iter().rev().find(there).or_else(|| places.iter().next_back());
            return latest.map(|(_, order_id)| *order_id);
        };
        if let Some(order_id) = places.get(&day) {
            return Some(*order_id);
        }
        let mut working = Working::new(self.now);
        let order_id = working.id();
        let number = OrderNumber { channel: channel.clone(), number: change.number.clone(), day };
        working.aggregate.numbers.push(number.clone());
        places.insert(day, order_id);
        self.orders.insert(order_id, working);
        self.writes.numbers.push((order_id, number));
        created.push(change.number.clone());
        self.may_be_named(&change.number, meta, raw_id);
        Some(order_id)
    }

    fn park(&mut self, number: SourceNumber, changes: usize, body: &[u8], meta: &RawMeta, raw_id: RawId) {
        self.writes.park.push(NewPark {
            raw_id,
            channel: meta.channel.clone(),
            number: number.clone(),
            since: self.now,
            changes: u32::try_from(changes).unwrap_or(u32::MAX),
        });
        self.reread(&meta.channel, &number, "parked");
        self.waiting.push(Waiting { raw_id, meta: meta.clone(), body: body.to_vec(), number, stored: false });
    }

    fn unpark(&mut self, channel: &ChannelId, number: &SourceNumber) {
        let (ready, rest): (Vec<Waiting>, _) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| waiting.meta.channel == *channel && waiting.number == *number);
        self.waiting = rest;
        for waiting in ready {
            if waiting.stored {
                self.writes.unpark.push(waiting.raw_id);
            } else {
                self.writes.park.retain(|park| park.raw_id != waiting.raw_id);
            }
            match self.decider.normalizers.normalize(channel, &waiting.body, waiting.meta.received_at) {
                Ok(mut changes) => {
                    // Those with a day were accounted for when the record came.
                    changes.retain(|change| change.day.is_none() && change.number == *number);
                    if changes.is_empty() {
                        let reason = "it waited for an order of which it says nothing any more";
                        self.dead("orphan", reason, &waiting.meta, waiting.raw_id);
                    }
                    self.changes(&changes, &waiting.meta, waiting.raw_id, None);
                }
                // It was readable when it was parked; the profile has changed since.
                Err(error) => self.dead(error.code(), &error.to_string(), &waiting.meta, waiting.raw_id),
            }
        }
    }
}
