//! What a channel's word means for the state book and for what we delivered to the channel.
//!
//! The book follows the heads: whatever becomes a head is put under its key, on the side that it belongs to, and what an authoritative read finds
//! unchanged is put there once more, so that no order of receipts, echoes and repairs leaves the book behind what the channel says.

use super::batch::Decision;
use crate::echo::{self, Echo};
use gateway_model::{
    BookItem, BookSide, Change, ChannelId, Day, DeliveryState, Digest, OrderId, Receipt, ReceiptSource,
};
use gateway_store::{BookPut, DeliveryUpdate, RawMeta};
use std::collections::BTreeSet;

/// Whose word a channel's statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// The channel's own.
    OwnWord,
    /// What this channel had said and we delivered, said back.
    EchoOf(ChannelId),
}

impl Decision<'_> {
    /// Puts a new word into the right side of the book; says whose it is. A channel without a connector (the desk) gives no account of itself and
    /// has no book.
    pub(super) fn hear(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta) -> Heard {
        if !self.decider.normalizers.has(&meta.channel) {
            return Heard::OwnWord;
        }
        let Some(day) = self.day_of(order_id, change, &meta.channel) else { return Heard::OwnWord };
        let item = change.book_item(day);
        let (side, item, heard) = match self.listen(order_id, &item, meta) {
            Echo::OwnWord => (BookSide::Source, Some(item), Heard::OwnWord),
            Echo::Proves(at) => {
                self.acknowledge(order_id, at);
                (BookSide::Sent, Some(item), self.echo_of(order_id, at))
            }
            Echo::Repeats(at) => (BookSide::Sent, Some(item), self.echo_of(order_id, at)),
            Echo::Stale(newest) => (BookSide::Sent, self.item_of(order_id, newest), self.echo_of(order_id, newest)),
            Echo::Overtaken(newest) => (BookSide::Sent, self.item_of(order_id, newest), Heard::OwnWord),
        };
        if let Some(item) = item {
            let projection_version = self.decider.normalizers.projection_version(&meta.channel);
            self.writes.book.push(BookPut::Put { channel: meta.channel.clone(), side, projection_version, item });
        }
        heard
    }

    /// Whose word a statement is, with nothing done about it.
    pub(super) fn whose(&self, order_id: OrderId, change: &Change, meta: &RawMeta) -> Heard {
        let Some(day) = self.day_of(order_id, change, &meta.channel) else { return Heard::OwnWord };
        match self.listen(order_id, &change.book_item(day), meta) {
            Echo::OwnWord | Echo::Overtaken(_) => Heard::OwnWord,
            Echo::Proves(at) | Echo::Repeats(at) | Echo::Stale(at) => self.echo_of(order_id, at),
        }
    }

    fn echo_of(&self, order_id: OrderId, at: usize) -> Heard {
        let delivery = self.orders.get(&order_id).and_then(|working| working.aggregate.deliveries.get(at));
        delivery.map_or(Heard::OwnWord, |delivery| Heard::EchoOf(delivery.from.clone()))
    }

    /// A head said again may still prove a delivery that is in flight. `current` = an authoritative read says so: the book takes it once more.
    pub(super) fn said_again(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta, current: bool) {
        let Some(day) = self.day_of(order_id, change, &meta.channel) else { return };
        let proves = matches!(self.listen(order_id, &change.book_item(day), meta), Echo::Proves(_));
        if !proves && !current {
            return;
        }
        self.hear(order_id, change, meta);
        if proves && let Some(working) = self.orders.get_mut(&order_id) {
            working.mark_echo(&meta.channel, change);
        }
    }

    fn listen(&self, order_id: OrderId, item: &BookItem, meta: &RawMeta) -> Echo {
        match self.orders.get(&order_id) {
            Some(working) if self.decider.defences.echo => {
                echo::find(&working.aggregate.deliveries, &meta.channel, &item.key, item.digest, meta.read_at)
            }
            _ => Echo::OwnWord,
        }
    }

    fn item_of(&self, order_id: OrderId, at: usize) -> Option<BookItem> {
        self.orders.get(&order_id)?.aggregate.deliveries.get(at)?.item.clone()
    }

    /// The creation day of the order at the channel; a partial record does not tell it, the order's latest number does.
    pub(super) fn day_of(&self, order_id: OrderId, change: &Change, channel: &ChannelId) -> Option<Day> {
        let of_order = || {
            let numbers = self.orders.get(&order_id)?.aggregate.numbers.iter();
            numbers
                .filter(|number| number.channel == *channel && number.number == change.number)
                .map(|number| number.day)
                .max()
        };
        change.day.or_else(of_order)
    }

    fn acknowledge(&mut self, order_id: OrderId, at: usize) {
        let Some(working) = self.orders.get_mut(&order_id) else { return };
        let Some(delivery) = working.aggregate.deliveries.get_mut(at) else { return };
        let receipt = Receipt { receipt_number: None, received_at: None, source: ReceiptSource::Echo };
        delivery.state = DeliveryState::Acknowledged;
        delivery.receipt = Some(receipt.clone());
        self.writes.delivery_updates.push(DeliveryUpdate {
            id: delivery.id,
            state: DeliveryState::Acknowledged,
            receipt: Some(receipt),
            next_attempt_at: None,
            reason_code: None,
            reason: None,
        });
        working.touch();
    }

    /// An authoritative read that lacks what an unanswered attempt should have left there: it did not arrive. A later refusal is still not
    /// believed at once, since an attempt may land later than anybody expects.
    pub(super) fn contradict(&mut self, changes: &[Change], meta: &RawMeta) {
        let orders: BTreeSet<OrderId> = changes
            .iter()
            .filter_map(|change| {
                self.by_number.get(&(meta.channel.clone(), change.number.clone()))?.get(&change.day?).copied()
            })
            .collect();
        for order_id in orders {
            self.contradict_order(order_id, changes, meta);
        }
    }

    /// The same for one order; no changes = the channel does not have the order.
    pub(super) fn contradict_order(&mut self, order_id: OrderId, changes: &[Change], meta: &RawMeta) {
        let Some(working) = self.orders.get_mut(&order_id) else { return };
        let mut updates = Vec::new();
        let settle = self.decider.settle_ms;
        for delivery in echo::contradicted(&working.aggregate.deliveries, &meta.channel, meta.read_at, settle) {
            let Some(item) = &delivery.item else { continue };
            let head = working.digest(&meta.channel, item.key.dataset, &item.key.part);
            let Some((state, code, reason)) = contradiction(changes, item, head) else { continue };
            updates.push(DeliveryUpdate {
                id: delivery.id,
                state,
                receipt: None,
                next_attempt_at: Some(self.now),
                reason_code: Some(code.into()),
                reason: Some(reason.into()),
            });
        }
        for update in updates {
            let mut deliveries = working.aggregate.deliveries.iter_mut();
            if let Some(delivery) = deliveries.find(|delivery| delivery.id == update.id) {
                delivery.state = update.state;
            }
            working.touch();
            self.writes.delivery_updates.push(update);
        }
    }
}

/// What a whole record says against an item that should be in it; `None` = nothing that is settled.
fn contradiction(
    changes: &[Change],
    item: &BookItem,
    head: Option<Digest>,
) -> Option<(DeliveryState, &'static str, &'static str)> {
    let there = changes.iter().find(|change| {
        change.dataset == item.key.dataset
            && change.part == item.key.part
            && change.number == item.key.number
            && change.day == Some(item.key.day)
    });
    match there {
        None => {
            Some((DeliveryState::Owed, "not_in_record", "the order, read again, does not show it: it is sent again"))
        }
        // A word that did not become the head (a tie) is being read again.
        Some(change) if change.digest == item.digest || head != Some(change.digest) => None,
        Some(_) => {
            Some((DeliveryState::Rejected, "held_differently", "the destination holds something else in its place"))
        }
    }
}
