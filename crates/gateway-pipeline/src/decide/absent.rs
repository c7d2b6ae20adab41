//! What a source does not hold any more.
//!
//! Two words of a source take something away, both of them answers to a reading by number: that there is no such order (an *absence*), and a
//! whole record that lacks what the source had said before (it *vanished*). What is taken away leaves the state book and is marked; what it said
//! stays readable. Nothing that was received before the request was sent can bring it back; what was read after it begins anew.
//!
//! Where two readings were under way at the same time, neither is the later one: the order is read again instead of guessed about. What we
//! delivered and had acknowledged is not taken away by a record that lacks it: that is a gap, and repaired by delivering again.

use super::batch::Decision;
use crate::applied::Head;
use crate::echo::{self, Echo};
use gateway_model::{Change, Dataset, DeliveryState, ItemKey, Oddity, OrderId, OrderNumber, Part, RawId, SourceNumber};
use gateway_store::{BookPut, DeliveryRow, FlowOutcome, RawMeta};
use std::collections::BTreeSet;

impl Decision<'_> {
    /// Whether an authoritative reading of the whole order has settled what a record says that was received before that. A record that was still
    /// under way then is judged by its revision, unless it says something that the reading did not show: then the order is read again.
    pub(super) fn is_overtaken(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta) -> bool {
        let Some(number) = self.read_number(order_id, change, meta) else { return false };
        let Some(working) = self.orders.get(&order_id) else { return false };
        let Some(settled) = working.reading(&number).map(|reading| reading.whole_read_at) else { return false };
        if meta.origin.is_authoritative() && meta.read_at >= settled {
            return false;
        }
        if meta.received_at <= settled {
            return true;
        }
        let stands = working.digest(&meta.channel, change.dataset, &change.part).is_some()
            && !working.is_gone(&meta.channel, change.dataset, &change.part);
        if stands || meta.read_at >= settled {
            return false;
        }
        self.reread(&meta.channel, &change.number, "read_together");
        true
    }

    /// An item becomes a head: the order is there, whatever was said before. A word without authority is asked about once more, since a push may
    /// have been under way for longer than anybody knows.
    pub(super) fn come_back(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta) {
        let Some(number) = self.read_number(order_id, change, meta) else { return };
        let Some(working) = self.orders.get_mut(&order_id) else { return };
        let absent = working.is_absent(&number);
        if absent {
            working.clear_absence(&number);
        } else if !working.is_gone(&meta.channel, change.dataset, &change.part) {
            return;
        }
        if !meta.origin.is_authoritative() {
            self.reread(&meta.channel, &change.number, "came_back");
        }
    }

    /// The source, asked by number, shows no order under it beside those that it gave in the same answer.
    pub(super) fn absent(&mut self, number: &SourceNumber, meta: &RawMeta, raw_id: RawId) {
        let places = self.by_number.get(&(meta.channel.clone(), number.clone())).cloned().unwrap_or_default();
        let mut applied = false;
        for (day, order_id) in places {
            let place = OrderNumber { channel: meta.channel.clone(), number: number.clone(), day };
            applied |= self.take_away(order_id, &place, meta, raw_id);
        }
        let outcome = if applied { FlowOutcome::Applied } else { FlowOutcome::Duplicate };
        self.tally(&meta.channel, Some(Dataset::Acceptance), outcome);
    }

    /// Takes an order away; `false` when nothing follows, because it was away already or another reading says otherwise.
    fn take_away(&mut self, order_id: OrderId, number: &OrderNumber, meta: &RawMeta, raw_id: RawId) -> bool {
        let Some(working) = self.orders.get_mut(&order_id) else { return false };
        // The same answer showed it, or a later one told more.
        if working.reading(number).is_some_and(|reading| reading.whole_read_at >= meta.read_at) {
            return false;
        }
        let heads = working.heads(&meta.channel);
        if heads.iter().any(|head| is_later(head, meta)) {
            self.reread(&meta.channel, &number.number, "read_together");
            return false;
        }
        let was_absent = working.is_absent(number);
        working.note_reading(number, meta.read_at, true);
        let keys = taken_keys(&working.aggregate.deliveries, number, &heads, meta);
        // Another number of the same channel may still stand for the order.
        let mut others = working.aggregate.numbers.iter().filter(|other| other.channel == meta.channel);
        if others.all(|other| working.is_absent(other)) {
            heads.iter().for_each(|head| working.mark_gone(&meta.channel, head, meta.read_at));
        }
        if !was_absent {
            let line = working.line(Dataset::Acceptance, &Part::Cycle(0), &meta.channel, raw_id, self.now);
            self.writes.changes.push(line);
            self.anomaly(&meta.channel, "absent_at_source", "order", Some(order_id), raw_id);
        }
        let removed = keys.into_iter().map(|key| BookPut::Remove { channel: meta.channel.clone(), key });
        self.writes.book.extend(removed);
        // An attempt without an answer did not arrive; sent again, the peer's answer ends it.
        self.contradict_order(order_id, &[], meta);
        !was_absent
    }

    /// An authoritative record that states everything: what the channel had said before and does not say in it has vanished.
    pub(super) fn read_whole(&mut self, changes: &[Change], meta: &RawMeta, raw_id: RawId) {
        // A record of which a part could not be read does not tell what it lacks.
        let unreadable = |oddity: &Oddity| matches!(oddity, Oddity::UnreadableValue { .. });
        if !self.decider.normalizers.record_is_whole(&meta.channel)
            || changes.iter().any(|change| change.oddities.iter().any(unreadable))
        {
            return;
        }
        let numbers: BTreeSet<OrderNumber> = changes.iter().filter_map(|change| number_in(change, meta)).collect();
        for number in numbers {
            let places = self.by_number.get(&(number.channel.clone(), number.number.clone()));
            let Some(order_id) = places.and_then(|places| places.get(&number.day)).copied() else { continue };
            for dataset in self.vanish(order_id, &number, changes, meta, raw_id) {
                self.anomaly(&meta.channel, "vanished_at_source", dataset.as_str(), Some(order_id), raw_id);
            }
        }
    }

    /// Marks what is lacking; returns the datasets of it.
    fn vanish(
        &mut self,
        order_id: OrderId,
        number: &OrderNumber,
        changes: &[Change],
        meta: &RawMeta,
        raw_id: RawId,
    ) -> Vec<Dataset> {
        let Some(working) = self.orders.get_mut(&order_id) else { return Vec::new() };
        if working.reading(number).is_some_and(|reading| reading.whole_read_at > meta.read_at) {
            return Vec::new();
        }
        let stated = |head: &Head| {
            let mut of_order =
                changes.iter().filter(|change| change.day == Some(number.day) && change.number == number.number);
            of_order.any(|change| change.dataset == head.dataset && change.part == head.part)
        };
        // Two numbers of one channel say together what the order is; which of them said what is not kept.
        let alone = working.aggregate.numbers.iter().filter(|other| other.channel == meta.channel).count() == 1;
        let heads = working.heads(&meta.channel);
        let missing: Vec<&Head> = heads.iter().filter(|head| alone && !stated(head)).collect();
        if !missing.is_empty() && heads.iter().any(|head| is_later(head, meta)) {
            self.reread(&meta.channel, &number.number, "read_together");
            return Vec::new();
        }
        working.note_reading(number, meta.read_at, false);
        let mut vanished = Vec::new();
        for head in missing {
            let key = key_of(number, head);
            let deliveries = &working.aggregate.deliveries;
            if self.decider.defences.echo
                && echo::find(deliveries, &meta.channel, &key, head.digest, head.read_at) != Echo::OwnWord
            {
                continue;
            }
            working.mark_gone(&meta.channel, head, meta.read_at);
            let line = working.line(head.dataset, &head.part, &meta.channel, raw_id, self.now);
            self.writes.changes.push(line);
            self.writes.book.push(BookPut::Remove { channel: meta.channel.clone(), key });
            vanished.push(head.dataset);
        }
        vanished
    }

    /// The number that a change is read by, where the order was ever read by it as a whole.
    fn read_number(&self, order_id: OrderId, change: &Change, meta: &RawMeta) -> Option<OrderNumber> {
        if self.orders.get(&order_id)?.aggregate.readings.is_empty() {
            return None;
        }
        let day = self.day_of(order_id, change, &meta.channel)?;
        Some(OrderNumber { channel: meta.channel.clone(), number: change.number.clone(), day })
    }
}

/// What leaves the book with an order: whatever its channel said, and whatever we delivered before the channel was asked.
fn taken_keys(deliveries: &[DeliveryRow], number: &OrderNumber, heads: &[Head], meta: &RawMeta) -> BTreeSet<ItemKey> {
    let mut keys: BTreeSet<ItemKey> = heads.iter().map(|head| key_of(number, head)).collect();
    let acknowledged = deliveries
        .iter()
        .filter(|delivery| delivery.destination == meta.channel && delivery.state == DeliveryState::Acknowledged);
    for delivery in acknowledged {
        let Some(item) = &delivery.item else { continue };
        if delivery.last_attempt_ended_at.is_some_and(|ended| ended > meta.read_at) {
            keys.remove(&item.key);
        } else if item.key.number == number.number && item.key.day == number.day {
            keys.insert(item.key.clone());
        }
    }
    keys
}

/// Whether a head was read after a request was sent, or was still under way then.
fn is_later(head: &Head, meta: &RawMeta) -> bool {
    head.read_at > meta.read_at || (head.read_at < meta.read_at && head.received_at > meta.read_at)
}

fn key_of(number: &OrderNumber, head: &Head) -> ItemKey {
    ItemKey { dataset: head.dataset, number: number.number.clone(), day: number.day, part: head.part.clone() }
}

fn number_in(change: &Change, meta: &RawMeta) -> Option<OrderNumber> {
    Some(OrderNumber { channel: meta.channel.clone(), number: change.number.clone(), day: change.day? })
}
