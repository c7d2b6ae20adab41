//! Orders that are one: what records say of it, what persons say of it, and what follows.
//!
//! Nothing is moved between orders. A pair says that two are one, the orders that hang together are a group, and the group's lead is composed from the facets
//! of all. What is owed for any of them is owed by the member that the destination knows, once.

use super::batch::Decision;
use crate::applied::Working;
use gateway_model::{
    Change, ChannelId, Dataset, DeliveryId, DeliveryState, FacetRow, Field, Operation, OrderId, OrderNumber, OrderPair,
    PairState, Part, RawId, SourceNumber, groups,
};
use gateway_store::{DeliveryRow, DeliveryUpdate, NewDelivery, OrderReference, PairStep, RawMeta};
use std::collections::{BTreeMap, BTreeSet};

/// Orders in one group at most: no complaint comes in more often, and whoever changes one of them loads all.
pub const MOST_IN_GROUP: usize = 16;

/// What a decision knows of orders that are one.
#[derive(Default)]
pub(super) struct Identity {
    /// The lead of each order that is not alone.
    pub(super) groups: BTreeMap<OrderId, OrderId>,
    pub(super) pairs: BTreeMap<(OrderId, OrderId), OrderPair>,
    /// Whose record names which number.
    pub(super) naming: BTreeSet<(SourceNumber, OrderId, ChannelId)>,
    pub(super) changed: BTreeSet<(OrderId, OrderId)>,
    /// Leads of groups that somebody joined in this record.
    pub(super) joined: BTreeSet<OrderId>,
}

impl Decision<'_> {
    /// The orders of an order's group, ascending; the order alone where there is none.
    pub(super) fn members(&self, order_id: OrderId) -> Vec<OrderId> {
        let Some(lead) = self.identity.groups.get(&order_id) else { return vec![order_id] };
        self.identity.groups.iter().filter(|(_, of)| *of == lead).map(|(member, _)| *member).collect()
    }

    /// An acceptance became the head: which number of another channel it names joins, and what it named before and does not any more joins no longer.
    pub(super) fn identify(
        &mut self,
        order_id: OrderId,
        change: &Change,
        before: Option<SourceNumber>,
        meta: &RawMeta,
        raw_id: RawId,
    ) {
        let named = named(change.dataset, &change.part, change.fields.text(Field::RelatedNumber));
        if named == before {
            return;
        }
        if let Some(before) = before {
            self.identity.naming.remove(&(before, order_id, meta.channel.clone()));
        }
        if let Some(named) = &named {
            self.identity.naming.insert((named.clone(), order_id, meta.channel.clone()));
        }
        let channel = meta.channel.clone();
        self.writes.references.push(OrderReference { order_id, channel, number: named });
        self.follow_references(meta, raw_id);
    }

    /// What the head of an acceptance names.
    pub(super) fn named_before(&self, order_id: OrderId, change: &Change, channel: &ChannelId) -> Option<SourceNumber> {
        let facet = self.orders.get(&order_id)?.facet(channel, change.dataset, &change.part)?;
        named(facet.dataset, &facet.part, facet.fields.text(Field::RelatedNumber))
    }

    /// A new order may be the one that another's record has named for long.
    pub(super) fn may_be_named(&mut self, number: &SourceNumber, meta: &RawMeta, raw_id: RawId) {
        if self.identity.naming.iter().any(|(named, _, _)| named == number) {
            self.follow_references(meta, raw_id);
        }
    }

    /// Those of other channels that have a number.
    fn having(&self, number: &SourceNumber, besides: &ChannelId) -> BTreeSet<OrderId> {
        let places = self.by_number.iter().filter(|((channel, held), _)| held == number && channel != besides);
        places.flat_map(|(_, days)| days.values().copied()).collect()
    }

    fn follow_references(&mut self, meta: &RawMeta, raw_id: RawId) {
        let mut stated: BTreeMap<(OrderId, OrderId), ChannelId> = BTreeMap::new();
        let mut held: BTreeSet<(OrderId, OrderId)> = BTreeSet::new();
        for (number, namer, channel) in &self.identity.naming {
            let mut having = self.having(number, channel);
            having.remove(namer);
            held.extend(having.iter().map(|other| ordered(*namer, *other)));
            // A number that wrapped names several: nobody can tell which, and a person may.
            if let (1, Some(other)) = (having.len(), having.first()) {
                stated.insert(ordered(*namer, *other), channel.clone());
            }
        }
        let gone =
            self.identity.pairs.values().filter(|pair| {
                pair.state == PairState::Joined && pair.is_by_record() && !held.contains(&(pair.a, pair.b))
            });
        for pair in gone.cloned().collect::<Vec<_>>() {
            self.set_pair(OrderPair { state: PairState::Withdrawn, at: self.now, ..pair });
        }
        for ((a, b), channel) in stated {
            let known = self.identity.pairs.get(&(a, b));
            if known.is_some_and(|pair| pair.is_settled() || pair.state == PairState::Joined) {
                continue;
            }
            if self.members(a).len() + self.members(b).len() > MOST_IN_GROUP {
                self.anomaly(&meta.channel, "group_full", "order", Some(a), raw_id);
                continue;
            }
            let fresh = OrderPair::new(a, b, PairState::Joined, OrderPair::by_record(&channel), self.now);
            let pair = match known {
                Some(known) => OrderPair { score: known.score, likeness: known.likeness.clone(), ..fresh },
                None => fresh,
            };
            self.set_pair(pair);
            // The next must see this group's size.
            self.regroup();
        }
        self.regroup();
    }

    fn set_pair(&mut self, pair: OrderPair) {
        self.writes.pair_steps.push(PairStep::to(&pair));
        self.identity.changed.insert((pair.a, pair.b));
        self.identity.pairs.insert((pair.a, pair.b), pair);
    }

    /// What persons said of these pairs becomes what the orders show.
    pub(super) fn show_decided(&mut self, pairs: &[OrderPair]) {
        for pair in pairs {
            let key = (pair.a, pair.b);
            // What is held by now counts, not what was read before.
            let Some(held) = self.identity.pairs.get_mut(&key) else { continue };
            held.pending = false;
            self.identity.changed.insert(key);
        }
        self.regroup();
        self.spare_joined();
    }

    /// Works the groups out again; every order that joined or left one is shown anew.
    fn regroup(&mut self) {
        let after = groups(self.identity.pairs.values());
        if after == self.identity.groups {
            return;
        }
        let before = std::mem::replace(&mut self.identity.groups, after);
        let concerned: BTreeSet<OrderId> = before.keys().chain(self.identity.groups.keys()).copied().collect();
        let mut left = Vec::new();
        for order in concerned {
            let (was, is) = (before.get(&order), self.identity.groups.get(&order).copied());
            if was.copied() == is {
                continue;
            }
            self.aliases.insert(order, is.unwrap_or(order));
            if let Some(working) = self.orders.get_mut(&order) {
                working.touch();
            }
            match is {
                Some(lead) => {
                    self.identity.joined.insert(lead);
                }
                None => left.push(order),
            }
            // Who was with it shows less now.
            for other in was.into_iter().chain(is.as_ref()) {
                if let Some(working) = self.orders.get_mut(other) {
                    working.touch();
                }
            }
        }
        for order in left {
            // What was spared for the sake of the group is owed again when it is said again.
            let numbers = self.orders.get(&order).map(|working| working.aggregate.numbers.clone());
            for number in numbers.unwrap_or_default() {
                self.reread(&number.channel, &number.number, "separated");
            }
        }
    }

    /// The member of the order's group by which a destination knows it; the order itself where it knows none.
    pub(super) fn member_at(&self, order_id: OrderId, destination: &ChannelId) -> OrderId {
        if !self.identity.groups.contains_key(&order_id) || self.is_at(order_id, destination) {
            return order_id;
        }
        let known = self.members(order_id).into_iter().find(|member| self.is_at(*member, destination));
        known.unwrap_or(order_id)
    }

    /// Whether a destination has told of an order, or is owed it.
    fn is_at(&self, order_id: OrderId, destination: &ChannelId) -> bool {
        let Some(working) = self.orders.get(&order_id) else { return false };
        let all = &working.aggregate;
        let ended = self.superseded();
        all.facets.iter().any(|facet| facet.channel == *destination && facet.gone_at.is_none())
            || all.deliveries.iter().any(|row| row.destination == *destination && counts(row))
            || self
                .writes
                .new_deliveries
                .iter()
                .any(|new| new.order_id == order_id && new.destination == *destination && !ended.contains(&new.id))
    }

    fn superseded(&self) -> BTreeSet<DeliveryId> {
        let updates = self.writes.delivery_updates.iter();
        updates.filter(|update| update.state == DeliveryState::Superseded).map(|update| update.id).collect()
    }

    /// Whether a destination has an item of the group, said by itself or owed to it as another channel's word: then it is not owed once more.
    pub(super) fn is_spared(
        &self,
        order_id: OrderId,
        member: OrderId,
        dataset: Dataset,
        part: &Part,
        from: &ChannelId,
        destination: &ChannelId,
    ) -> bool {
        if !self.identity.groups.contains_key(&order_id) {
            return false;
        }
        let Some(working) = self.orders.get(&member) else { return false };
        let ended = self.superseded();
        let said = working.facet(destination, dataset, part).is_some_and(|own| !own.echo && own.gone_at.is_none());
        let same = |to: &ChannelId, by: &ChannelId, of: Dataset, at: &Part| {
            to == destination && by != from && of == dataset && at == part
        };
        (said && member != order_id)
            || working.aggregate.deliveries.iter().any(|row| {
                row.operation == Operation::Forward
                    && same(&row.destination, &row.from, row.dataset, &row.part)
                    && counts(row)
            })
            || self.writes.new_deliveries.iter().any(|new| {
                new.order_id == member
                    && new.operation == Operation::Forward
                    && same(&new.destination, &new.from, new.dataset, &new.part)
                    && !ended.contains(&new.id)
            })
    }

    /// Once a record has said everything: what the orders that it joined were owed twice.
    pub(super) fn spare_joined(&mut self) {
        for lead in std::mem::take(&mut self.identity.joined) {
            self.spare(lead);
        }
    }

    /// Orders became one while both were owed to the same destination: what was never tried for the second is owed for the first.
    fn spare(&mut self, lead: OrderId) {
        let members = self.members(lead);
        let mut untried: BTreeMap<ChannelId, BTreeMap<OrderId, Vec<NewDelivery>>> = BTreeMap::new();
        let mut there: BTreeMap<ChannelId, OrderId> = BTreeMap::new();
        let ended = self.superseded();
        for member in &members {
            let Some(working) = self.orders.get(member) else { continue };
            let stored = working.aggregate.deliveries.iter().map(|row| (of_row(row), is_untried(row), counts(row)));
            let decided = self.writes.new_deliveries.iter().filter(|new| new.order_id == *member);
            let decided = decided.map(|new| (new.clone(), !ended.contains(&new.id), !ended.contains(&new.id)));
            let mut by_destination: BTreeMap<ChannelId, (Vec<NewDelivery>, bool)> = BTreeMap::new();
            for (delivery, untried, counts) in stored.chain(decided) {
                let (list, tried) = by_destination.entry(delivery.destination.clone()).or_default();
                if untried && delivery.operation == Operation::Forward {
                    list.push(delivery);
                } else {
                    *tried |= counts;
                }
            }
            for facet in working.aggregate.facets.iter().filter(|facet| facet.gone_at.is_none()) {
                by_destination.entry(facet.channel.clone()).or_default().1 = true;
            }
            for (destination, (list, tried)) in by_destination {
                if tried {
                    there.entry(destination).or_insert(*member);
                } else if !list.is_empty() {
                    untried.entry(destination).or_default().insert(*member, list);
                }
            }
        }
        for (destination, by_member) in untried {
            let first = by_member.keys().next().copied();
            let Some(keeper) = there.get(&destination).copied().or(first) else { continue };
            for (_, deliveries) in by_member.into_iter().filter(|(member, _)| *member != keeper) {
                for delivery in deliveries {
                    self.move_to(keeper, delivery);
                }
            }
        }
    }

    fn move_to(&mut self, keeper: OrderId, delivery: NewDelivery) {
        self.writes.delivery_updates.push(DeliveryUpdate {
            id: delivery.id,
            state: DeliveryState::Superseded,
            receipt: None,
            next_attempt_at: None,
            reason_code: Some("joined".into()),
            reason: Some("the order is one with another that the destination has".into()),
        });
        if let Some(working) = self.orders.get_mut(&delivery.order_id) {
            let mut stored = working.aggregate.deliveries.iter_mut();
            if let Some(row) = stored.find(|row| row.id == delivery.id) {
                row.state = DeliveryState::Superseded;
            }
            working.touch();
        }
        let NewDelivery { dataset, ref part, ref from, ref destination, .. } = delivery;
        if self.is_spared(delivery.order_id, keeper, dataset, part, from, destination) {
            return;
        }
        let id = DeliveryId(self.next_delivery_id);
        self.next_delivery_id += 1;
        self.writes.new_deliveries.push(NewDelivery { id, order_id: keeper, created_at: self.now, ..delivery });
        if let Some(working) = self.orders.get_mut(&keeper) {
            working.touch();
        }
    }

    /// Lets the leads of groups speak for all their orders.
    pub(super) fn speak_together(&mut self, leads: impl IntoIterator<Item = OrderId>) {
        for lead in leads {
            let mut members = self.members(lead);
            if members.len() < 2 {
                continue;
            }
            // Where one channel speaks in two of them, the order of its numbers decides; no id does, since ids tell who came first.
            members.sort_by_cached_key(|member| self.orders.get(member).and_then(first_number));
            let facets: Vec<FacetRow> =
                members.iter().filter_map(|member| self.orders.get(member)).flat_map(|one| one.speaking()).collect();
            let changed = members.iter().any(|member| self.orders.get(member).is_some_and(|one| one.is_changed()));
            if let Some(working) = self.orders.get_mut(&lead) {
                working.together = Some(facets);
                if changed {
                    working.touch();
                }
            }
        }
    }

    /// Hands what changed of pairs and groups to the writes.
    pub(super) fn write_identity(&mut self) {
        let leads: BTreeSet<OrderId> = self.identity.groups.values().copied().collect();
        self.speak_together(leads);
        for key in &self.identity.changed {
            self.writes.pairs.extend(self.identity.pairs.get(key).cloned());
        }
        self.writes.aliases = std::mem::take(&mut self.aliases).into_iter().collect();
    }
}

/// What an acceptance names; anything else names nothing.
pub(crate) fn named(dataset: Dataset, part: &Part, text: Option<&str>) -> Option<SourceNumber> {
    let speaks = dataset == Dataset::Acceptance && matches!(part, Part::Cycle(_));
    text.filter(|_| speaks).and_then(|text| SourceNumber::new(text.trim()).ok())
}

/// The smallest number under which a channel speaks of an order first-hand; a number that we gave it for a destination may be there or not.
fn first_number(working: &Working) -> Option<OrderNumber> {
    let all = &working.aggregate;
    let told = |number: &&OrderNumber| all.facets.iter().any(|facet| facet.channel == number.channel && !facet.echo);
    all.numbers.iter().filter(told).min().cloned()
}

fn ordered(one: OrderId, other: OrderId) -> (OrderId, OrderId) {
    (one.min(other), one.max(other))
}

/// Whether a delivery has brought, or may bring, something to its destination.
fn counts(row: &DeliveryRow) -> bool {
    !matches!(row.state, DeliveryState::Superseded | DeliveryState::Rejected | DeliveryState::Waived)
}

fn is_untried(row: &DeliveryRow) -> bool {
    row.state == DeliveryState::Owed && row.generation == 1 && row.attempts == 0 && !row.unanswered
}

fn of_row(row: &DeliveryRow) -> NewDelivery {
    NewDelivery {
        id: row.id,
        order_id: row.order_id,
        destination: row.destination.clone(),
        from: row.from.clone(),
        operation: row.operation,
        dataset: row.dataset,
        part: row.part.clone(),
        round: row.round,
        raw_id: row.raw_id,
        command_id: row.command_id,
        created_at: row.created_at,
    }
}
