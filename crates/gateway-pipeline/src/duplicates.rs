//! Duplicates 重复工单: complaints that came in over several channels and may be one. They stay candidates until a person says.
//!
//! The finder follows the feed of changed orders outside the pipeline's transaction: it costs no record its turn, and of a changed order no more than a look
//! at its row as long as what is compared of it is the same. What is compared is kept beside its keys, so that no other order is read whole. An order is
//! compared with the latest few of each other channel that share a match key with it, however many are held. Two orders of one channel are never offered:
//! where only one brings orders, nobody need look.
//!
//! A change may be looked at again, and a process that dies goes on where the last round was written; what came since then is seen again. What a person decided
//! is shown by a second task, in a transaction like a batch of the pipeline's.

use crate::Decider;
use async_trait::async_trait;
use gateway_model::{CANDIDATE_SCORE, Clock, MatchKey, MatchSubject, OrderId, OrderPair, PairState, PersonKey};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{Comparable, MatchChange, MatchEntry, MatchRound, MatchTurn, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Changed orders in one round at most: a commit for so many where there is a backlog, and for what there is where there is none.
const ROUND: u32 = 500;
/// Orders whose likes are asked for at once.
const ASKED: usize = 100;
/// Orders that one key finds at most at each other channel, the latest.
const BY_KEY: u32 = 20;
/// Candidates of one order in one round at most, the likest.
const MOST_OFFERS: usize = 5;
/// Changes that nothing came of are looked at again after a kill, as many as this at most.
const UNSAVED: u64 = 5_000;
/// Pairs shown in one transaction.
const SHOWN: u32 = 20;

/// Looks for orders that may be one.
pub struct DuplicateFinder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    person_key: PersonKey,
    /// Up to where this process has seen the feed.
    reached: u64,
}

impl DuplicateFinder {
    /// A finder.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, person_key: PersonKey) -> Self {
        Self { store, clock, person_key, reached: 0 }
    }

    /// One round; the number of orders of the feed that were seen.
    ///
    /// # Errors
    /// What the store tells.
    pub async fn look(&mut self) -> Result<usize, StoreError> {
        // Before what is kept is read: whoever writes after this makes the round void.
        let saved = self.store.match_position().await?;
        let page = self.store.match_changes(self.reached.max(saved), ROUND).await?;
        if page.seen == 0 {
            return Ok(0);
        }
        if page.changes.is_empty() && page.next.saturating_sub(saved) < UNSAVED {
            self.reached = page.next;
            return Ok(page.seen);
        }
        let turns: Vec<MatchTurn> = page.changes.into_iter().map(|change| self.turn(change)).collect();
        let offers = self.offers(&turns).await?;
        match self.store.save_matches(&MatchRound { from: saved, to: page.next, turns, offers }).await {
            // Another process was faster, and has found the same.
            Err(StoreError::WrongState { .. }) => Ok(0),
            written => {
                written?;
                self.reached = page.next;
                Ok(page.seen)
            }
        }
    }

    fn turn(&self, change: MatchChange) -> MatchTurn {
        let MatchChange { order_id, lead, was, first_hand } = change;
        let is = first_hand.map(|said| MatchEntry {
            comparable: Comparable {
                order_id,
                subject: MatchSubject::of(&said.fields, said.event_time, &said.persons, &self.person_key),
                channel: said.channel,
            },
            part: said.part,
            content_hash: said.content_hash,
            lead,
        });
        MatchTurn { was, is }
    }

    /// The candidates among these, and between these and what is kept.
    async fn offers(&self, turns: &[MatchTurn]) -> Result<Vec<OrderPair>, StoreError> {
        let here: Vec<&Comparable> =
            turns.iter().filter_map(|turn| turn.is.as_ref()).map(|entry| &entry.comparable).collect();
        // What is kept of these is of before.
        let turned: BTreeSet<OrderId> =
            turns.iter().filter_map(|turn| turn.was.as_ref()).map(|was| was.order_id).collect();
        let mut likely: BTreeMap<(OrderId, OrderId), OrderPair> = BTreeMap::new();
        let mut offered: BTreeMap<OrderId, BTreeSet<(OrderId, OrderId)>> = BTreeMap::new();
        let mut compare = |one: &Comparable, other: &Comparable| {
            let id = (one.order_id.min(other.order_id), one.order_id.max(other.order_id));
            if likely.contains_key(&id) {
                offered.entry(one.order_id).or_default().insert(id);
                return;
            }
            let score = one.subject.score(&other.subject);
            if score >= CANDIDATE_SCORE {
                let pair =
                    OrderPair::new(one.order_id, other.order_id, PairState::Candidate, "likeness", self.clock.now());
                let likeness = one.subject.likeness(&other.subject);
                likely.insert(id, OrderPair { score: Some(score), likeness, ..pair });
                offered.entry(one.order_id).or_default().insert(id);
            }
        };
        for asked in here.chunks(ASKED) {
            for (place, kept) in self.store.matches(asked, BY_KEY).await? {
                let Some(one) = asked.get(place).filter(|_| !turned.contains(&kept.order_id)) else { continue };
                compare(one, &kept);
            }
        }
        for (one, other) in beside_each_other(&here) {
            compare(one, other);
        }
        let ids: BTreeSet<OrderId> = likely.keys().flat_map(|(a, b)| [*a, *b]).collect();
        let groups = self.store.groups_of(&ids.into_iter().collect::<Vec<_>>()).await?;
        likely.retain(|(a, b), _| groups.get(a).is_none_or(|lead| groups.get(b) != Some(lead)));
        // The likest of each order; one that is left out by both sides is left out.
        let mut chosen = BTreeSet::new();
        for pairs in offered.into_values() {
            let mut pairs: Vec<(&(OrderId, OrderId), Option<u32>)> =
                pairs.iter().filter_map(|id| likely.get(id).map(|pair| (id, pair.score))).collect();
            pairs.sort_by_key(|(_, score)| std::cmp::Reverse(*score));
            chosen.extend(pairs.into_iter().take(MOST_OFFERS).map(|(id, _)| *id));
        }
        likely.retain(|id, _| chosen.contains(id));
        Ok(likely.into_values().collect())
    }
}

/// Who of these is to be compared with whom: as if they had come one by one.
fn beside_each_other<'c>(here: &[&'c Comparable]) -> Vec<(&'c Comparable, &'c Comparable)> {
    let mut by_key: HashMap<MatchKey, Vec<&'c Comparable>> = HashMap::new();
    for one in here {
        for (key, _) in one.subject.keys() {
            by_key.entry(key).or_default().push(one);
        }
    }
    by_key.retain(|_, sharing| sharing.len() > 1);
    for sharing in by_key.values_mut() {
        sharing.sort_by_key(|one| std::cmp::Reverse((one.subject.at_ms(), one.order_id)));
    }
    let mut pairs = Vec::new();
    for one in here {
        for (key, reach) in one.subject.keys() {
            let mut found: BTreeMap<&str, u32> = BTreeMap::new();
            for other in by_key.get(&key).into_iter().flatten() {
                let apart = one.subject.at_ms().abs_diff(other.subject.at_ms());
                if one.channel == other.channel || apart > reach.unsigned_abs() {
                    continue;
                }
                let found = found.entry(other.channel.as_str()).or_default();
                if *found < BY_KEY {
                    *found += 1;
                    pairs.push((*one, *other));
                }
            }
        }
    }
    pairs
}

#[async_trait]
impl Task for DuplicateFinder {
    fn name(&self) -> String {
        "duplicates".into()
    }

    async fn run(&mut self, _round: &Round) -> Result<Ran, TaskError> {
        let seen = self.look().await.map_err(|error| TaskError::new("store", &error))?;
        // Nobody waits for a candidate, and a commit for each handful of orders costs more than all the rest.
        Ok(if seen < ROUND as usize { Ran::Idle } else { Ran::Busy })
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
