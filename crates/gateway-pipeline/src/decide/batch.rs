//! A batch while it is decided: what was loaded, what has become of it so far, and the account of each record.

use super::identity::{Identity, named};
use super::{Decider, PLAIN};
use crate::applied::Working;
use crate::{Normalized, Statement};
use gateway_model::{
    ChannelId, CommandId, Dataset, Day, Field, OrderId, RawId, RegistryExtract, SourceNumber, Timestamp,
};
use gateway_store::{
    FlowOutcome, FlowPosition, FlowTally, IngestWrites, Loaded, NewDeadLetter, NewJob, NewRaw, RawMeta,
};
use std::collections::{BTreeMap, BTreeSet};

/// The longest reason of a dead letter, in characters.
const REASON_CHARS: usize = 200;

/// A record that waits for its order.
pub(super) struct Waiting {
    pub(super) raw_id: RawId,
    pub(super) meta: RawMeta,
    pub(super) body: Vec<u8>,
    pub(super) number: SourceNumber,
    /// Whether it was parked by an earlier batch.
    pub(super) stored: bool,
}

/// The state of a decision.
pub(crate) struct Decision<'a> {
    pub(crate) decider: &'a Decider,
    pub(crate) now: Timestamp,
    pub(crate) writes: IngestWrites,
    pub(crate) registry: Option<RegistryExtract>,
    pub(super) orders: BTreeMap<OrderId, Working>,
    pub(super) by_number: BTreeMap<(ChannelId, SourceNumber), BTreeMap<Day, OrderId>>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) commands: BTreeSet<CommandId>,
    pub(super) tallies: BTreeMap<(ChannelId, Option<Dataset>, FlowOutcome), u64>,
    pub(super) jobs: BTreeMap<(ChannelId, String), NewJob>,
    pub(super) next_delivery_id: i64,
    /// What the record at hand asks of platforms.
    pub(super) asked: Vec<super::ask::Asked>,
    /// Who told the state of which order anew in the record at hand.
    pub(super) states_told: BTreeSet<(OrderId, ChannelId)>,
    pub(super) identity: Identity,
    pub(super) aliases: BTreeMap<OrderId, OrderId>,
    positions: BTreeMap<(String, u32), u64>,
    next_raw_id: i64,
    next_feed_seq: u64,
}

impl<'a> Decision<'a> {
    pub(super) fn new(decider: &'a Decider, loaded: Loaded, now: Timestamp) -> Self {
        let mut by_number: BTreeMap<_, BTreeMap<Day, OrderId>> = BTreeMap::new();
        for aggregate in &loaded.orders {
            for number in &aggregate.numbers {
                let places = by_number.entry((number.channel.clone(), number.number.clone())).or_default();
                places.insert(number.day, aggregate.order.id);
            }
        }
        let mut identity = Identity { groups: loaded.groups, ..Identity::default() };
        identity.pairs = loaded.pairs.into_iter().map(|pair| ((pair.a, pair.b), pair)).collect();
        for aggregate in &loaded.orders {
            for facet in aggregate.facets.iter().filter(|facet| facet.gone_at.is_none()) {
                let number = named(facet.dataset, &facet.part, facet.fields.text(Field::RelatedNumber));
                identity.naming.extend(number.map(|number| (number, aggregate.order.id, facet.channel.clone())));
            }
        }
        let waiting = loaded.parked.into_iter().filter_map(|parked| {
            let body = parked.raw.body?;
            Some(Waiting { raw_id: parked.raw.id, meta: parked.raw.meta, body, number: parked.number, stored: true })
        });
        Self {
            decider,
            now,
            writes: IngestWrites { at: now, ..IngestWrites::default() },
            waiting: waiting.collect(),
            orders: loaded
                .orders
                .into_iter()
                .map(|aggregate| (aggregate.order.id, Working::loaded(aggregate)))
                .collect(),
            by_number,
            commands: loaded.commands.into_iter().collect(),
            registry: loaded.registry,
            tallies: BTreeMap::new(),
            jobs: BTreeMap::new(),
            next_delivery_id: loaded.next_delivery_id,
            asked: Vec::new(),
            states_told: BTreeSet::new(),
            identity,
            aliases: BTreeMap::new(),
            positions: loaded
                .positions
                .into_iter()
                .map(|position| ((position.topic, position.partition), position.next_offset))
                .collect(),
            next_raw_id: loaded.next_raw_id,
            next_feed_seq: loaded.next_feed_seq,
        }
    }

    pub(super) fn record(&mut self, record: &Normalized) {
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
            Statement::Conflicting(changes) => {
                for change in changes {
                    self.tally(&record.meta.channel, Some(change.dataset), FlowOutcome::Duplicate);
                    self.reread(&record.meta.channel, &change.number, "nonce_conflict");
                }
                self.anomaly(&record.meta.channel, "nonce_conflict", "push", None, raw_id);
            }
            Statement::Absent(number) => self.absent(number, &record.meta, raw_id),
            Statement::Command(command) => self.command(command, &record.meta, raw_id),
            Statement::Dead { code, reason } => self.dead(code, reason, &record.meta, raw_id),
        }
    }

    /// Keeps a record as a dead letter. Its order is read again, unless that reading brought it: what the source itself can't say
    /// properly would be asked for without end.
    pub(super) fn dead(&mut self, code: &str, reason: &str, meta: &RawMeta, raw_id: RawId) {
        self.writes.dead_letters.push(NewDeadLetter {
            raw_id,
            channel: meta.channel.clone(),
            number: meta.number.clone(),
            code: code.to_owned(),
            reason: reason.chars().take(REASON_CHARS).collect(),
            at: self.now,
        });
        self.tally(&meta.channel, None, FlowOutcome::DeadLettered);
        if let (Some(number), false) = (&meta.number, meta.origin.is_authoritative()) {
            self.reread(&meta.channel, number, "dead_letter");
        }
    }

    pub(super) fn finish(mut self) -> IngestWrites {
        self.write_identity();
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
