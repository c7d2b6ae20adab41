//! Asking: what a handling system (承办单位) states of its own work is asked of the platform whose order it is, by that platform's own operations.
//!
//! A sign, a reply, a refusal, a completion, an extension or an appeal that is only forwarded would change nothing where the order lives: the platform
//! has operations for them, with rules of its own. So what such a channel states is owed to whom the routing rules name as the operation that it asks for
//! ([`asked_by`]), and all else is forwarded as it stands. What a record states together is asked in the order of an order's life, whatever the order in
//! which the record lists it.
//!
//! The lifecycle guards what we send here too, by what the platform itself says of the order and what is on its way there: an operation that makes no sense
//! there is rejected at once, with the reason, where everybody looks for it; it is asked again when the platform's own state allows it, so that
//! a reply that overtook a lost sign is not lost with it.

use super::batch::Decision;
use super::hear::Heard;
use gateway_connector::Sink;
use gateway_model::{
    Change, ChannelId, Dataset, DeliveryId, DeliveryState, Field, Operation, OrderId, OrderState, Part, RawId,
    asked_by, check_command, state_after,
};
use gateway_store::{DeliveryRow, DeliveryUpdate, NewDelivery, RawMeta};
use std::collections::BTreeSet;

/// The code of what the platform's state does not allow, said by us before it was sent.
const STATE_DOES_NOT_ALLOW: &str = "state_does_not_allow";
/// The code of the same, said by the platform (the class of its answer).
const STATE_REFUSED: &str = "state_refused";

/// What is to be asked, once the whole record was heard.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    order_id: OrderId,
    destination: ChannelId,
    from: ChannelId,
    operation: Operation,
    dataset: Dataset,
    part: Part,
    round: u32,
    raw_id: RawId,
}

impl Asked {
    /// The place in an order's life.
    fn stage(&self) -> (OrderId, u32, Option<OrderState>) {
        (self.order_id, self.round, state_after(self.operation))
    }

    fn is(&self, row: &DeliveryRow) -> bool {
        row.operation == self.operation
            && row.destination == self.destination
            && self.says(&row.from, row.dataset, &row.part)
    }

    fn is_new(&self, row: &NewDelivery) -> bool {
        row.order_id == self.order_id
            && row.operation == self.operation
            && row.destination == self.destination
            && self.says(&row.from, row.dataset, &row.part)
    }

    fn says(&self, from: &ChannelId, dataset: Dataset, part: &Part) -> bool {
        *from == self.from && dataset == self.dataset && *part == self.part
    }
}

impl Decision<'_> {
    /// Whether a channel's word on its own work is asked of a destination, not forwarded: it handles orders, this one is the destination's own, and the
    /// destination takes operations. One that takes none (a citizen's front end) is told as anybody else.
    pub(super) fn asks(&self, order_id: OrderId, from: &ChannelId, destination: &ChannelId) -> bool {
        let takes = |sink: &dyn Sink| Operation::COMMANDS.into_iter().any(|operation| sink.takes(operation));
        self.decider.normalizers.handles_orders(from)
            && self.decider.normalizers.sink(destination).is_some_and(takes)
            && self.is_own(order_id, destination)
    }

    /// Whether an order is a channel's own: it has a number there that is none of those under which it takes the orders of others.
    pub(super) fn is_own(&self, order_id: OrderId, channel: &ChannelId) -> bool {
        let Some(working) = self.orders.get(&order_id) else { return false };
        let numbers = &working.aggregate.numbers;
        let sink = self.decider.normalizers.sink(channel);
        numbers.iter().filter(|number| number.channel == *channel).any(|own| {
            !numbers
                .iter()
                .filter(|other| other.channel != *channel)
                .any(|other| sink.and_then(|sink| sink.forward_number(other)).is_some_and(|made| made == own.number))
        })
    }

    /// Notes what a new word asks of whom.
    pub(super) fn ask(&mut self, order_id: OrderId, change: &Change, heard: &Heard, meta: &RawMeta, raw_id: RawId) {
        if *heard != Heard::OwnWord {
            return;
        }
        let asked = self.asked_of(order_id, change, meta, raw_id);
        self.asked.extend(asked);
    }

    /// A word that is said again is asked of those who were never asked.
    pub(super) fn ask_missing(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta, raw_id: RawId) {
        let mut asked = self.asked_of(order_id, change, meta, raw_id);
        asked.retain(|asked| !self.was_asked(asked));
        if !asked.is_empty() && self.whose(order_id, change, meta) == Heard::OwnWord {
            self.asked.extend(asked);
        }
    }

    fn asked_of(&self, order_id: OrderId, change: &Change, meta: &RawMeta, raw_id: RawId) -> Vec<Asked> {
        if !self.decider.normalizers.handles_orders(&meta.channel) {
            return Vec::new();
        }
        let Some(operation) = asked_by(change.dataset, &change.part, &change.fields) else { return Vec::new() };
        let mut destinations = self.decider.routes.destinations(&meta.channel, change.dataset);
        destinations.retain(|destination| {
            let takes = self.decider.normalizers.sink(destination).is_some_and(|sink| sink.takes(operation));
            takes && self.is_own(order_id, destination)
        });
        let said = match change.part {
            Part::Cycle(cycle) => Some(cycle),
            Part::Event(_) => change.fields.number(Field::Round).and_then(|round| u32::try_from(round).ok()),
        };
        let asked = |destination: ChannelId| Asked {
            order_id,
            // A system that does not count rounds means the one that the platform is in.
            round: said.unwrap_or_else(|| self.stage_at(order_id, &destination).map_or(0, |(round, _)| round)),
            destination,
            from: meta.channel.clone(),
            operation,
            dataset: change.dataset,
            part: change.part.clone(),
            raw_id,
        };
        destinations.into_iter().map(asked).collect()
    }

    fn was_asked(&self, asked: &Asked) -> bool {
        let stored = self.orders.get(&asked.order_id);
        stored.is_some_and(|working| working.aggregate.deliveries.iter().any(|row| asked.is(row)))
            || self.writes.new_deliveries.iter().any(|row| asked.is_new(row))
    }

    /// The platform told its state anew: what was refused for its state may be possible now.
    pub(super) fn heard_state(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta) {
        if change.dataset == Dataset::Handling && matches!(change.part, Part::Cycle(_)) {
            self.states_told.insert((order_id, meta.channel.clone()));
        }
    }

    /// Makes what the record asks owed.
    pub(super) fn owe_asked(&mut self) {
        let told: BTreeSet<_> = std::mem::take(&mut self.states_told);
        for (order_id, channel) in told {
            let refused = self.refused_for_state(order_id, &channel);
            self.asked.extend(refused);
        }
        let mut asked = std::mem::take(&mut self.asked);
        asked.sort_by_key(Asked::stage);
        for asked in asked {
            self.owe_one(asked);
        }
    }

    fn owe_one(&mut self, asked: Asked) {
        let (current, state) = match self.stage_at(asked.order_id, &asked.destination) {
            Some((round, state)) => (round, Some(state)),
            None => (asked.round, None),
        };
        let verdict = check_command(state, current, asked.operation, asked.round);
        // What moves the order on is meant anew; what is asked beside it stands for itself.
        if verdict.is_ok() && state_after(asked.operation).is_some() {
            self.supersede_owed(asked.order_id, &asked.destination, |operation, _, _, round| {
                operation == asked.operation && round == asked.round
            });
        }
        let id = DeliveryId(self.next_delivery_id);
        self.next_delivery_id += 1;
        self.writes.new_deliveries.push(NewDelivery {
            id,
            order_id: asked.order_id,
            destination: asked.destination,
            from: asked.from,
            operation: asked.operation,
            dataset: asked.dataset,
            part: asked.part,
            round: asked.round,
            raw_id: asked.raw_id,
            command_id: None,
            created_at: self.now,
        });
        if let Err(refusal) = verdict {
            self.writes.delivery_updates.push(DeliveryUpdate {
                id,
                state: DeliveryState::Rejected,
                receipt: None,
                next_attempt_at: None,
                reason_code: Some(STATE_DOES_NOT_ALLOW.into()),
                reason: Some(format!("not sent: {refusal}")),
            });
        }
        if let Some(working) = self.orders.get_mut(&asked.order_id) {
            working.touch();
        }
    }

    /// Where an order stands at a platform, by its own word and by what is on its way there or was taken since that word was read.
    fn stage_at(&self, order_id: OrderId, channel: &ChannelId) -> Option<(u32, OrderState)> {
        let aggregate = &self.orders.get(&order_id)?.aggregate;
        let said = aggregate
            .facets
            .iter()
            .filter(|facet| facet.channel == *channel && facet.dataset == Dataset::Handling && facet.gone_at.is_none());
        let (mut stage, mut read_at) = (None, None);
        for facet in said {
            let Some(state) = facet.fields.text(Field::State).and_then(|state| state.parse().ok()) else { continue };
            let round = facet.fields.number(Field::Round).and_then(|round| u32::try_from(round).ok()).unwrap_or(0);
            stage = stage.max(Some((round, state)));
            read_at = read_at.max(Some(facet.read_at));
        }
        let ended: BTreeSet<DeliveryId> = self.writes.delivery_updates.iter().map(|update| update.id).collect();
        let counts = |row: &&DeliveryRow| {
            let taken_since = row.state == DeliveryState::Acknowledged && row.last_attempt_ended_at > read_at;
            row.destination == *channel && (row.state.is_in_flight() || taken_since)
        };
        let sent = aggregate.deliveries.iter().filter(counts).map(|row| (row.round, row.operation));
        let new = self
            .writes
            .new_deliveries
            .iter()
            .filter(|row| row.order_id == order_id && row.destination == *channel && !ended.contains(&row.id));
        let new = new.map(|row| (row.round, row.operation));
        let ahead = sent.chain(new).filter_map(|(round, operation)| Some((round, state_after(operation)?))).max();
        stage.max(ahead.filter(|_| stage.is_some()))
    }

    /// What handling systems asked of a platform and was refused for the order's state, where nothing newer of the same matter came of it and the
    /// state allows it by now.
    fn refused_for_state(&self, order_id: OrderId, channel: &ChannelId) -> Vec<Asked> {
        let Some(working) = self.orders.get(&order_id) else { return Vec::new() };
        let rows = &working.aggregate.deliveries;
        let asked = |row: &&DeliveryRow| {
            row.destination == *channel && row.command_id.is_none() && row.operation != Operation::Forward
        };
        let refused = rows.iter().filter(asked).filter(|row| {
            let for_state = matches!(row.reason_code.as_deref(), Some(STATE_DOES_NOT_ALLOW | STATE_REFUSED));
            let same = |other: &NewDelivery| {
                other.order_id == order_id && other.operation == row.operation && other.round == row.round
            };
            row.state == DeliveryState::Rejected
                && for_state
                && !rows.iter().any(|other| {
                    other.destination == *channel
                        && other.operation == row.operation
                        && other.round == row.round
                        && (other.id > row.id || other.state == DeliveryState::Acknowledged)
                })
                && !self.writes.new_deliveries.iter().any(same)
        });
        let (current, state) = match self.stage_at(order_id, channel) {
            Some((round, state)) => (round, state),
            None => return Vec::new(),
        };
        refused
            .filter(|row| check_command(Some(state), current, row.operation, row.round).is_ok())
            .map(|row| Asked {
                order_id,
                destination: channel.clone(),
                from: row.from.clone(),
                operation: row.operation,
                dataset: row.dataset,
                part: row.part.clone(),
                round: row.round,
                raw_id: row.raw_id,
            })
            .collect()
    }
}
