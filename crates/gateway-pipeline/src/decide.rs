//! The decision: from what is held and what a batch states to what is written. Pure; runs inside the transaction.

use crate::applied::Working;
use crate::echo::{self, Echo};
use crate::version::{Verdict, Version, judge};
use crate::{ContentKey, Normalized, Normalizers, Routes, Statement};
use gateway_model::{
    AuthorityTable, BookSide, Change, ChannelId, Command, CommandState, Dataset, Day, DeliveryId, DeliveryState,
    Oddity, OrderId, OrderNumber, Origin, RawId, Receipt, ReceiptSource, SourceNumber, Timestamp, check_command,
};
use gateway_store::{
    BookPut, CommandRow, DeliveryUpdate, FlowOutcome, FlowPosition, FlowTally, IngestRequest, IngestWrites, JobKind,
    Loaded, NewAnomaly, NewDeadLetter, NewDelivery, NewJob, NewPark, NewRaw, RawMeta,
};
use std::collections::{BTreeMap, BTreeSet};

/// The `key_id` of rows that are not sealed.
pub(crate) const PLAIN: &str = "plain";

/// After an attempt without an answer, an order read sooner than this does not contradict it: the peer may still be at work.
const SETTLE_MS: i64 = 2_000;

/// The pipeline's defences, each of which a test build can switch off to show that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defences {
    /// Equal revision with other content: read the order again.
    pub reread_on_tie: bool,
    /// What we delivered, said back, is an acknowledgement.
    pub echo: bool,
}

impl Default for Defences {
    fn default() -> Self {
        Self { reread_on_tie: true, echo: true }
    }
}

/// Everything that a decision needs besides the rows.
pub struct Decider {
    /// Reads parked records when their order comes.
    pub normalizers: Normalizers,
    /// What is owed to whom.
    pub routes: Routes,
    /// Whose word counts.
    pub authority: AuthorityTable,
    /// Keys the content hashes.
    pub content_key: ContentKey,
    /// Channels whose orders can be read again by number.
    pub rereadable: BTreeSet<ChannelId>,
    /// A revision this much later than received orders nothing; in ms.
    pub future_tolerance_ms: i64,
    /// The defences.
    pub defences: Defences,
}

impl Decider {
    /// What a batch needs to see.
    #[must_use]
    pub fn request(batch: &[Normalized]) -> IngestRequest {
        let mut numbers = BTreeSet::new();
        let mut partitions = BTreeSet::new();
        let mut request = IngestRequest::default();
        for record in batch {
            partitions.insert((record.meta.topic.clone(), record.meta.partition));
            numbers.extend(record.numbers().map(|number| (record.meta.channel.clone(), number.clone())));
            if let Statement::Command(command) = &record.statement {
                request.orders.push(command.order_id);
                request.commands.push(command.id);
            }
        }
        request.numbers = numbers.into_iter().collect();
        request.partitions = partitions.into_iter().collect();
        request
    }

    /// What is written for a batch, given what is held. Records before the accounted positions were written before and are passed over.
    #[must_use]
    pub fn decide(&self, loaded: Loaded, batch: &[Normalized], now: Timestamp) -> IngestWrites {
        let mut decision = Decision::new(self, loaded, now);
        for record in batch {
            decision.record(record);
        }
        decision.finish()
    }
}

struct Waiting {
    raw_id: RawId,
    meta: RawMeta,
    body: Vec<u8>,
    number: SourceNumber,
    /// Whether it was parked by an earlier batch.
    stored: bool,
}

struct Decision<'a> {
    decider: &'a Decider,
    now: Timestamp,
    writes: IngestWrites,
    orders: BTreeMap<OrderId, Working>,
    by_number: BTreeMap<(ChannelId, SourceNumber), BTreeMap<Day, OrderId>>,
    positions: BTreeMap<(String, u32), u64>,
    waiting: Vec<Waiting>,
    commands: BTreeSet<gateway_model::CommandId>,
    tallies: BTreeMap<(ChannelId, Option<Dataset>, FlowOutcome), u64>,
    jobs: BTreeMap<(ChannelId, String), NewJob>,
    next_raw_id: i64,
    next_feed_seq: u64,
    next_delivery_id: i64,
}

impl<'a> Decision<'a> {
    fn new(decider: &'a Decider, loaded: Loaded, now: Timestamp) -> Self {
        let mut by_number: BTreeMap<_, BTreeMap<Day, OrderId>> = BTreeMap::new();
        for aggregate in &loaded.orders {
            for number in &aggregate.numbers {
                let places = by_number.entry((number.channel.clone(), number.number.clone())).or_default();
                places.insert(number.day, aggregate.order.id);
            }
        }
        let waiting = loaded.parked.into_iter().filter_map(|parked| {
            let body = parked.raw.body?;
            Some(Waiting { raw_id: parked.raw.id, meta: parked.raw.meta, body, number: parked.number, stored: true })
        });
        Self {
            decider,
            now,
            writes: IngestWrites::default(),
            waiting: waiting.collect(),
            orders: loaded
                .orders
                .into_iter()
                .map(|aggregate| (aggregate.order.id, Working::loaded(aggregate)))
                .collect(),
            by_number,
            positions: loaded
                .positions
                .into_iter()
                .map(|position| ((position.topic, position.partition), position.next_offset))
                .collect(),
            commands: loaded.commands.into_iter().collect(),
            tallies: BTreeMap::new(),
            jobs: BTreeMap::new(),
            next_raw_id: loaded.next_raw_id,
            next_feed_seq: loaded.next_feed_seq,
            next_delivery_id: loaded.next_delivery_id,
        }
    }

    fn record(&mut self, record: &Normalized) {
        let position = self.positions.entry((record.meta.topic.clone(), record.meta.partition)).or_default();
        if record.meta.offset < *position {
            return;
        }
        *position = record.meta.offset + 1;
        let raw_id = RawId(self.next_raw_id);
        self.next_raw_id += 1;
        self.writes.raws.push(NewRaw {
            id: raw_id,
            meta: record.meta.clone(),
            body: record.body.clone(),
            key_id: PLAIN.into(),
        });
        match &record.statement {
            Statement::Changes(changes) => self.changes(changes, &record.meta, raw_id, Some(&record.body)),
            Statement::Conflicting(changes) => self.conflicting(changes, &record.meta, raw_id),
            Statement::Command(command) => self.command(command, &record.meta, raw_id),
            Statement::Dead { code, reason } => self.dead(code, reason, &record.meta, raw_id),
        }
    }

    fn dead(&mut self, code: &str, reason: &str, meta: &RawMeta, raw_id: RawId) {
        self.writes.dead_letters.push(NewDeadLetter {
            raw_id,
            channel: meta.channel.clone(),
            number: meta.number.clone(),
            code: code.to_owned(),
            reason: reason.to_owned(),
            at: self.now,
        });
        self.tally(&meta.channel, None, FlowOutcome::DeadLettered);
        if let Some(number) = &meta.number {
            self.reread(&meta.channel, number, "dead_letter");
        }
    }

    fn conflicting(&mut self, changes: &[Change], meta: &RawMeta, raw_id: RawId) {
        for change in changes {
            self.tally(&meta.channel, Some(change.dataset), FlowOutcome::Duplicate);
            self.reread(&meta.channel, &change.number, "nonce_conflict");
        }
        self.anomaly(&meta.channel, "nonce_conflict", "push", None, raw_id);
    }

    /// Applies the changes of one record. `body` is given where the record may have to be parked.
    fn changes(&mut self, changes: &[Change], meta: &RawMeta, raw_id: RawId, body: Option<&[u8]>) {
        let mut created = Vec::new();
        let mut parked = 0;
        for change in changes {
            let Some(order_id) = self.resolve(change, &meta.channel, &mut created) else {
                parked += 1;
                continue;
            };
            let outcome = self.apply(order_id, change, meta, raw_id);
            self.tally(&meta.channel, Some(change.dataset), outcome);
        }
        if let (1.., Some(change), Some(body)) = (parked, changes.first(), body) {
            // A partial record speaks of one order, so all its changes wait for the same number.
            self.writes.park.push(NewPark {
                raw_id,
                channel: meta.channel.clone(),
                number: change.number.clone(),
                since: self.now,
                changes: parked,
            });
            self.waiting.push(Waiting {
                raw_id,
                meta: meta.clone(),
                body: body.to_vec(),
                number: change.number.clone(),
                stored: false,
            });
            self.reread(&meta.channel, &change.number, "parked");
        }
        if meta.origin == Origin::Reread {
            self.contradict(changes, meta);
        }
        for number in created {
            self.unpark(&meta.channel, &number);
        }
    }

    /// The order that a change belongs to: by number and day; a partial record belongs to the latest order of its number.
    fn resolve(&mut self, change: &Change, channel: &ChannelId, created: &mut Vec<SourceNumber>) -> Option<OrderId> {
        let places = self.by_number.entry((channel.clone(), change.number.clone())).or_default();
        let Some(day) = change.day else {
            return places.values().next_back().copied();
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
        Some(order_id)
    }

    fn unpark(&mut self, channel: &ChannelId, number: &SourceNumber) {
        let (ready, rest) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| waiting.meta.channel == *channel && waiting.number == *number);
        self.waiting = rest;
        let ready: Vec<Waiting> = ready;
        for waiting in ready {
            if waiting.stored {
                self.writes.unpark.push(waiting.raw_id);
            } else {
                self.writes.park.retain(|park| park.raw_id != waiting.raw_id);
            }
            match self.decider.normalizers.normalize(channel, &waiting.body, waiting.meta.received_at) {
                Ok(changes) => self.changes(&changes, &waiting.meta, waiting.raw_id, None),
                // It was readable when it was parked; the profile has changed since.
                Err(error) => self.dead(error.code(), &error.to_string(), &waiting.meta, waiting.raw_id),
            }
        }
    }

    fn apply(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta, raw_id: RawId) -> FlowOutcome {
        for oddity in &change.oddities {
            let (kind, subject) = describe(oddity);
            self.anomaly(&meta.channel, kind, subject, Some(order_id), raw_id);
        }
        let Some(working) = self.orders.get_mut(&order_id) else { return FlowOutcome::Duplicate };
        let limit = meta.received_at.as_millisecond() + self.decider.future_tolerance_ms;
        let new = Version {
            revision: change.revision,
            doubtful: change.revision.is_some_and(|revision| revision.0 > limit),
            read_at: meta.read_at,
            content: self.decider.content_key.hash(change),
        };
        let head = working.head(&meta.channel, change.dataset, &change.part);
        match judge(head.as_ref(), &new, meta.origin) {
            Verdict::Older => FlowOutcome::Duplicate,
            Verdict::Tie => {
                self.anomaly(&meta.channel, "tie", change.dataset.as_str(), Some(order_id), raw_id);
                if self.decider.defences.reread_on_tie {
                    self.reread(&meta.channel, &change.number, "tie");
                }
                FlowOutcome::Duplicate
            }
            Verdict::Duplicate { advance } => {
                if advance {
                    working.advance(&meta.channel, change, &new);
                }
                self.said_again(order_id, change, meta);
                FlowOutcome::Duplicate
            }
            Verdict::Replace { regressed } => {
                let line = working.line(change, &meta.channel, raw_id, self.now);
                self.writes.changes.push(line);
                let echo = self.hear(order_id, change, meta);
                if let Some(working) = self.orders.get_mut(&order_id) {
                    working.replace(change, &new, echo, meta, raw_id);
                }
                if regressed {
                    self.anomaly(&meta.channel, "regressed_revision", change.dataset.as_str(), Some(order_id), raw_id);
                }
                FlowOutcome::Applied
            }
        }
    }

    /// Puts a new word into the right side of the book; returns whether it is only our own, said back.
    fn hear(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta) -> bool {
        if meta.origin == Origin::Command {
            return false;
        }
        let Some(day) = self.day_of(order_id, change, &meta.channel) else { return false };
        let item = change.book_item(day);
        let heard = self.listen(order_id, &item, meta);
        let side = match heard {
            Echo::OwnWord => BookSide::Source,
            Echo::Proves(at) => {
                self.acknowledge(order_id, at);
                BookSide::Sent
            }
            // The sent side holds it, or a newer delivery's item, already.
            Echo::Repeats | Echo::Stale => return true,
        };
        let projection_version = self.decider.normalizers.projection_version(&meta.channel);
        self.writes.book.push(BookPut::Put { channel: meta.channel.clone(), side, projection_version, item });
        side == BookSide::Sent
    }

    /// A head said again may still prove a delivery that is in flight.
    fn said_again(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta) {
        let Some(day) = self.day_of(order_id, change, &meta.channel) else { return };
        let item = change.book_item(day);
        if let Echo::Proves(at) = self.listen(order_id, &item, meta) {
            self.acknowledge(order_id, at);
            if let Some(working) = self.orders.get_mut(&order_id) {
                working.mark_echo(&meta.channel, change);
            }
            let projection_version = self.decider.normalizers.projection_version(&meta.channel);
            self.writes.book.push(BookPut::Put {
                channel: meta.channel.clone(),
                side: BookSide::Sent,
                projection_version,
                item,
            });
        }
    }

    fn listen(&self, order_id: OrderId, item: &gateway_model::BookItem, meta: &RawMeta) -> Echo {
        match self.orders.get(&order_id) {
            Some(working) if self.decider.defences.echo => {
                echo::find(&working.aggregate.deliveries, &meta.channel, &item.key, item.digest, meta.read_at)
            }
            _ => Echo::OwnWord,
        }
    }

    /// The creation day of the order at the channel; a partial record does not tell it, the order's number does.
    fn day_of(&self, order_id: OrderId, change: &Change, channel: &ChannelId) -> Option<Day> {
        let of_order = || {
            let numbers = &self.orders.get(&order_id)?.aggregate.numbers;
            numbers
                .iter()
                .find(|number| number.channel == *channel && number.number == change.number)
                .map(|number| number.day)
        };
        change.day.or_else(of_order)
    }

    fn acknowledge(&mut self, order_id: OrderId, at: usize) {
        let Some(working) = self.orders.get_mut(&order_id) else { return };
        let delivery = &mut working.aggregate.deliveries[at];
        delivery.state = DeliveryState::Acknowledged;
        let receipt = Receipt { receipt_number: None, received_at: None, source: ReceiptSource::Echo };
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

    /// An authoritative read that lacks what an unanswered attempt should have left there: it did not arrive.
    fn contradict(&mut self, changes: &[Change], meta: &RawMeta) {
        let orders: BTreeSet<OrderId> = changes
            .iter()
            .filter_map(|change| {
                self.by_number.get(&(meta.channel.clone(), change.number.clone()))?.get(&change.day?).copied()
            })
            .collect();
        for order_id in orders {
            let Some(working) = self.orders.get_mut(&order_id) else { continue };
            let mut updates = Vec::new();
            for (_, delivery) in
                echo::contradicted(&working.aggregate.deliveries, &meta.channel, meta.read_at, SETTLE_MS)
            {
                let Some(item) = &delivery.item else { continue };
                let there = changes.iter().any(|change| {
                    change.dataset == item.key.dataset
                        && change.part == item.key.part
                        && change.number == item.key.number
                });
                let (state, code, reason) = if there {
                    (DeliveryState::Rejected, "held_differently", "the destination holds something else in its place")
                } else {
                    (DeliveryState::Owed, "not_in_record", "the order, read again, does not show it: it is sent again")
                };
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
                if let Some(delivery) =
                    working.aggregate.deliveries.iter_mut().find(|delivery| delivery.id == update.id)
                {
                    delivery.state = update.state;
                }
                working.touch();
                self.writes.delivery_updates.push(update);
            }
        }
    }

    fn command(&mut self, command: &Command, meta: &RawMeta, raw_id: RawId) {
        if !self.commands.insert(command.id) {
            self.tally(&meta.channel, Some(Dataset::Handling), FlowOutcome::Duplicate);
            return;
        }
        let Some(working) = self.orders.get_mut(&command.order_id) else {
            self.dead("unknown_order", &format!("no order {}", command.order_id), meta, raw_id);
            return;
        };
        working.compose(&self.decider.authority);
        let order = &working.aggregate.order;
        let verdict = check_command(order.state, order.round, command.operation, command.round);
        let changes = match crate::command::changes_of(command) {
            Ok(changes) => changes,
            Err(error) => {
                self.dead(error.code(), &error.to_string(), meta, raw_id);
                return;
            }
        };
        self.writes.commands.push(CommandRow {
            id: command.id,
            order_id: command.order_id,
            operation: command.operation,
            round: command.round,
            state: if verdict.is_ok() { CommandState::Applied } else { CommandState::Refused },
            reason: verdict.as_ref().err().map(ToString::to_string),
            raw_id,
            at: self.now,
        });
        if verdict.is_err() {
            // The verdict is the effect; the order stays as it is.
            working.touch();
            self.tally(&meta.channel, Some(Dataset::Handling), FlowOutcome::Applied);
            return;
        }
        for change in &changes {
            let outcome = self.apply(command.order_id, change, meta, raw_id);
            self.tally(&meta.channel, Some(change.dataset), outcome);
            if outcome == FlowOutcome::Applied {
                self.route(command, change, meta, raw_id);
            }
        }
    }

    fn route(&mut self, command: &Command, change: &Change, meta: &RawMeta, raw_id: RawId) {
        let Some(operation) = change.operation else { return };
        for destination in self.decider.routes.destinations(&meta.channel, change.dataset) {
            self.supersede(command, operation, &destination);
            let delivery = NewDelivery {
                id: DeliveryId(self.next_delivery_id),
                order_id: command.order_id,
                destination,
                from: meta.channel.clone(),
                operation,
                dataset: change.dataset,
                part: change.part.clone(),
                round: command.round,
                raw_id,
                command_id: Some(command.id),
                created_at: self.now,
            };
            self.next_delivery_id += 1;
            self.writes.new_deliveries.push(delivery);
        }
    }

    /// A newer word on the same matter makes an unsent one needless, whether it was stored before or decided in this batch.
    fn supersede(&mut self, command: &Command, operation: gateway_model::Operation, destination: &ChannelId) {
        let Some(working) = self.orders.get_mut(&command.order_id) else { return };
        let stored = working.aggregate.deliveries.iter_mut().filter(|delivery| {
            delivery.destination == *destination
                && delivery.operation == operation
                && delivery.round == command.round
                && delivery.state == DeliveryState::Owed
                && delivery.attempts == 0
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
            delivery.order_id == command.order_id
                && delivery.destination == *destination
                && delivery.operation == operation
                && delivery.round == command.round
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
                reason: None,
            });
        }
    }

    fn reread(&mut self, channel: &ChannelId, number: &SourceNumber, reason: &str) {
        if !self.decider.rereadable.contains(channel) {
            return;
        }
        self.jobs.entry((channel.clone(), number.to_string())).or_insert_with(|| NewJob {
            kind: JobKind::Reread,
            channel: channel.clone(),
            subject: number.to_string(),
            reason: reason.to_owned(),
            run_at: self.now,
        });
    }

    fn anomaly(&mut self, channel: &ChannelId, kind: &str, subject: &str, order_id: Option<OrderId>, raw_id: RawId) {
        self.writes.anomalies.push(NewAnomaly {
            channel: channel.clone(),
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            order_id,
            raw_id,
            at: self.now,
        });
    }

    fn tally(&mut self, channel: &ChannelId, dataset: Option<Dataset>, outcome: FlowOutcome) {
        *self.tallies.entry((channel.clone(), dataset, outcome)).or_default() += 1;
    }

    fn finish(mut self) -> IngestWrites {
        let mut feed_seq = self.next_feed_seq;
        for (_, working) in std::mem::take(&mut self.orders) {
            working.write(&self.decider.authority, &mut feed_seq, self.now, &mut self.writes);
        }
        self.writes.jobs = self.jobs.into_values().collect();
        self.writes.tallies = self
            .tallies
            .into_iter()
            .map(|((channel, dataset, outcome), changes)| FlowTally { channel, dataset, outcome, changes })
            .collect();
        self.writes.positions = self
            .positions
            .into_iter()
            .map(|((topic, partition), next_offset)| FlowPosition { topic, partition, next_offset })
            .collect();
        self.writes
    }
}

fn describe(oddity: &Oddity) -> (&'static str, &str) {
    match oddity {
        Oddity::UnknownCode { wire_field } => ("unknown_code", wire_field),
        Oddity::UnknownField { wire_field } => ("unknown_field", wire_field),
        Oddity::UnreadableValue { wire_field } => ("unreadable_value", wire_field),
        Oddity::FutureTime { wire_field } => ("future_time", wire_field),
        Oddity::CompletedBeforeAccepted => ("completed_before_accepted", "completion"),
    }
}
