//! Duplicates 重复工单: complaints that came in over several channels and may be one. They stay candidates until a person says.
//!
//! The finder follows the feed of changed orders outside the pipeline's transaction: it costs no record its turn, but processor time of its own for each
//! changed order (docs/BENCHMARKS.md). A change is looked at again, and a process that dies goes on where the last round was written. An order is compared
//! with the latest few that share a match key with it, however many are held. What a person decided is shown by a second task, in a transaction like a
//! batch of the pipeline's.

use crate::Decider;
use async_trait::async_trait;
use gateway_model::{
    ChannelId, Clock, Fields, MATCH_WINDOW_MS, MatchKey, MatchSubject, OrderId, OrderPair, PairState, PersonKey,
};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{MatchRound, OrderView, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Changed orders in one round.
const BATCH: u32 = 100;
/// Orders that one key finds at most, the latest.
const BY_KEY: u32 = 20;
/// Candidates of one order in one round at most, the likest.
const MOST_OFFERS: usize = 5;
/// From this score on, of 100, two orders are shown to a person.
const CANDIDATE_SCORE: u32 = 50;
/// Pairs shown in one transaction.
const SHOWN: u32 = 20;

/// Looks for orders that may be one.
pub struct DuplicateFinder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    person_key: PersonKey,
}

/// An order as it is compared.
struct Compared {
    /// Who told of it first-hand.
    channel: ChannelId,
    subject: MatchSubject,
}

impl DuplicateFinder {
    /// A finder.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, person_key: PersonKey) -> Self {
        Self { store, clock, person_key }
    }

    fn compared(&self, view: &OrderView) -> Option<Compared> {
        let facet = MatchSubject::facet(&view.aggregate.facets)?;
        let none = Fields::new();
        let mut persons = view.persons.iter();
        let persons =
            persons.find(|row| (&row.channel, row.dataset, &row.part) == (&facet.channel, facet.dataset, &facet.part));
        let subject = MatchSubject::of(facet, persons.map_or(&none, |row| &row.fields), &self.person_key);
        Some(Compared { channel: facet.channel.clone(), subject })
    }

    /// One round; the number of orders that were looked at.
    ///
    /// # Errors
    /// What the store tells.
    pub async fn look(&self) -> Result<usize, StoreError> {
        let from = self.store.match_position().await?;
        let page = self.store.orders_after(from, BATCH, true).await?;
        if page.orders.is_empty() {
            return Ok(0);
        }
        let looked = page.orders.len();
        let mut known: BTreeMap<OrderId, Compared> = BTreeMap::new();
        for view in &page.orders {
            known.extend(self.compared(view).map(|compared| (view.aggregate.order.id, compared)));
        }
        let mut round = MatchRound { from, to: page.next, ..MatchRound::default() };
        let mut here: BTreeMap<MatchKey, BTreeSet<OrderId>> = BTreeMap::new();
        for (id, compared) in &known {
            let keys = compared.subject.keys();
            for key in &keys {
                here.entry(key.clone()).or_default().insert(*id);
            }
            round.keys.push((*id, compared.subject.at_ms(), keys.into_iter().collect()));
        }
        // Who is looked at together with whom.
        let mut beside: BTreeMap<OrderId, BTreeSet<OrderId>> = BTreeMap::new();
        for (id, at, keys) in &round.keys {
            let (start, end) = (at.saturating_sub(MATCH_WINDOW_MS), at.saturating_add(MATCH_WINDOW_MS));
            let mut found: BTreeSet<OrderId> =
                self.store.matches(keys, start, end, BY_KEY).await?.into_iter().collect();
            found.extend(keys.iter().filter_map(|key| here.get(key)).flatten().take(BY_KEY as usize));
            found.remove(id);
            beside.insert(*id, found);
        }
        let unknown: BTreeSet<OrderId> =
            beside.values().flatten().copied().filter(|id| !known.contains_key(id)).collect();
        let unknown: Vec<OrderId> = unknown.into_iter().collect();
        for view in self.store.orders(&unknown, true).await? {
            known.extend(self.compared(&view).map(|compared| (view.aggregate.order.id, compared)));
        }
        let groups = self.store.groups_of(&known.keys().copied().collect::<Vec<_>>()).await?;
        let mut offers: BTreeMap<(OrderId, OrderId), OrderPair> = BTreeMap::new();
        for (id, others) in &beside {
            let mut likest = Vec::new();
            for other in others {
                let joined = groups.get(id).is_some_and(|lead| groups.get(other) == Some(lead));
                let (Some(one), Some(two)) = (known.get(id), known.get(other)) else { continue };
                // Twice at one channel are two calls, and the channel's own matter.
                if joined || one.channel == two.channel {
                    continue;
                }
                let (score, likeness) = one.subject.compare(&two.subject);
                if score >= CANDIDATE_SCORE {
                    let pair = OrderPair::new(*id, *other, PairState::Candidate, "likeness", self.clock.now());
                    likest.push(OrderPair { score: Some(score), likeness, ..pair });
                }
            }
            likest.sort_by_key(|pair| std::cmp::Reverse(pair.score));
            likest.truncate(MOST_OFFERS);
            offers.extend(likest.into_iter().map(|pair| ((pair.a, pair.b), pair)));
        }
        round.offers = offers.into_values().collect();
        match self.store.save_matches(&round).await {
            // Another process was faster, and has found the same.
            Err(StoreError::WrongState { .. }) => Ok(0),
            saved => saved.map(|()| looked),
        }
    }
}

#[async_trait]
impl Task for DuplicateFinder {
    fn name(&self) -> String {
        "duplicates".into()
    }

    async fn run(&mut self, _round: &Round) -> Result<Ran, TaskError> {
        let looked = self.look().await.map_err(|error| TaskError::new("store", &error))?;
        Ok(if looked == 0 { Ran::Idle } else { Ran::Busy })
    }
}

/// Shows on the orders what persons said of pairs.
pub struct PairShower {
    store: Arc<dyn Store>,
    decider: Arc<Decider>,
    clock: Arc<dyn Clock>,
}

impl PairShower {
    /// A task for this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, decider: Arc<Decider>, clock: Arc<dyn Clock>) -> Self {
        Self { store, decider, clock }
    }

    /// Shows what waits; whether there was anything.
    ///
    /// # Errors
    /// What the store tells.
    pub async fn show(&self) -> Result<bool, StoreError> {
        let pairs = self.store.pending_pairs(SHOWN).await?;
        if pairs.is_empty() {
            return Ok(false);
        }
        let now = self.clock.now();
        let decide = |loaded| self.decider.decide_pairs(loaded, &pairs, now);
        self.store.ingest(Decider::request_pairs(&pairs), &decide).await?;
        Ok(true)
    }
}

#[async_trait]
impl Task for PairShower {
    fn name(&self) -> String {
        "pairs".into()
    }

    async fn run(&mut self, _round: &Round) -> Result<Ran, TaskError> {
        let shown = self.show().await.map_err(|error| TaskError::new("store", &error))?;
        Ok(if shown { Ran::Busy } else { Ran::Idle })
    }
}
