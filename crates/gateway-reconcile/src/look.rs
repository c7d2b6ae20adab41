//! Second looks at suspicions, and looks that verify repairs: which are due, and what they saw.
//!
//! Ids are listed only in the seconds that the items lie in, joined where that is cheaper. What our own book can tell is not asked of the channel: a
//! suspicion whose item has arrived meanwhile is forgotten without a call.

use crate::accounts::{Accounts, our_items, their_deliveries};
use crate::carry::{Carried, apply, forget, open};
use crate::classify::known_orders;
use crate::compare::Difference;
use crate::config::{ReconcileConfig, later};
use crate::doubt::{Doubt, look_at_doubts};
use crate::error::ReconcileError;
use crate::look_sums::look_at_sums;
use crate::reliability::Unreliable;
use crate::repair::read_again;
use crate::tour::Tour;
use crate::verdict::{Seen, Verdict, second_look, verify};
use crate::witness::{Says, Witness};
use gateway_model::{
    DeliveryId, Digest, GapEvidence, GapId, GapKind, GapState, Grain, ItemKey, SourceNumber, Timestamp,
};
use gateway_store::{DeliveryRow, GapRow, StoredItem};
use std::collections::{HashMap, HashSet};

const DECIDE_AT_ONCE: usize = 50;

/// The looks at a gap so far; kept from round to round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    /// When it was last looked at.
    at: Option<Timestamp>,
    /// What our book held then.
    held: Option<Digest>,
    /// How often an open one was seen to be still there while our book held the same.
    in_vain: u32,
    /// Whether the last account before that look agreed with us about its window.
    agreed: Option<bool>,
    /// Whether the last account of all did.
    agrees: Option<bool>,
}

/// The looks at all gaps.
#[derive(Default)]
pub(crate) struct Looked(HashMap<GapId, Look>);

impl Looked {
    /// Notes a look.
    pub(crate) fn note(&mut self, gap: &GapRow, held: Option<Digest>, at: Timestamp) {
        let look = self.0.entry(gap.id).or_default();
        let same = gap.state == GapState::Open && (look.at.is_none() || look.held == held);
        look.in_vain = if same { look.in_vain.saturating_add(1) } else { 0 };
        (look.at, look.held, look.agreed) = (Some(at), held, look.agrees);
    }

    /// Notes what the accounts of a round said of the gaps' windows.
    pub(crate) fn agree(&mut self, agreed: HashMap<GapId, bool>) {
        for (id, agrees) in agreed {
            self.0.entry(id).or_default().agrees = Some(agrees);
        }
    }

    fn of(&self, gap: &GapRow) -> Look {
        self.0.get(&gap.id).copied().unwrap_or_default()
    }
}

impl Look {
    fn waited(&self, ms: u64, now: Timestamp) -> bool {
        self.at.is_none_or(|at| now >= later(at, ms))
    }

    // What is left to a person is looked at ever more rarely, unless there is news: our book holds something else than it did at the last look, or the
    // accounts agree about it now and did not then.
    fn again_ms(&self, held: Option<Digest>, moved: bool, config: &ReconcileConfig) -> u64 {
        let first = config.relook_every_ms();
        let agrees = self.agrees == Some(true) && self.agreed != Some(true);
        let vain = if agrees || (self.at.is_some() && self.held != held) { 0 } else { self.in_vain };
        let rare = first.saturating_mul(1 << vain.saturating_sub(FIRST_LOOKS).min(16)).min(first.max(RELOOK_MOST_MS));
        if moved { config.recent_every_ms.saturating_mul(1 << vain.min(32)).min(rare) } else { rare }
    }
}

/// So many looks at an open gap come at the shortest interval; from then on it doubles.
const FIRST_LOOKS: u32 = 3;
const RELOOK_MOST_MS: u64 = 86_400_000;

/// Looks at everything that is due, as far as half of the round's means go.
pub(crate) async fn look(tour: &mut Tour<'_>, looked: &mut Looked, finest: Grain) -> Result<(), ReconcileError> {
    let context = tour.context;
    let active = context.active_gaps().await?;
    if active.is_empty() {
        looked.0.clear();
        return Ok(());
    }
    let mut watched: Vec<GapRow> = active.iter().filter(|gap| gap.kind.is_compared()).cloned().collect();
    watched.sort_by_key(|gap| (order(gap.state), gap.id));
    let known: HashSet<GapId> = watched.iter().map(|gap| gap.id).collect();
    looked.0.retain(|id, _| known.contains(id));
    let ours = our_items(tour, &watched).await?;
    let deliveries = their_deliveries(tour, &watched).await?;
    let now = context.now();

    let pace = Pace { allowance_ms: tour.allowance_ms(), config: &context.config };
    let arrived = |gap: &&GapRow| has_arrived(gap, &ours);
    let gone: HashSet<GapId> = watched.iter().filter(arrived).map(|gap| gap.id).collect();
    forget(tour, &gone.iter().copied().collect::<Vec<_>>()).await?;
    watched.retain(|gap| !gone.contains(&gap.id) && is_due(gap, &ours, &deliveries, looked.of(gap), now, &pace));

    look_at_doubts(tour, looked, &watched).await?;
    look_at_sums(tour, looked, finest, &watched).await?;
    watched.retain(|gap| gap.key.is_some());
    let mut accounts = Accounts::default();
    // What is open already waits for what may yet be forgotten, opened or closed.
    let (pressing, open) = watched.split_at(watched.partition_point(|gap| gap.state != GapState::Open));
    let mut asked = accounts.fetch(tour, pressing, &ours, &deliveries).await;
    if asked.is_ok() {
        asked = accounts.fetch(tour, open, &ours, &deliveries).await;
    }
    // What was seen before a call failed is decided on all the same.
    for few in watched.chunks(DECIDE_AT_ONCE) {
        tour.keep_lease().await?;
        decide(tour, looked, few, &accounts).await?;
    }
    asked
}

// Which gaps come first, where not all can be looked at.
fn order(state: GapState) -> u8 {
    match state {
        GapState::Repairing => 0,
        GapState::Suspected => 1,
        _ => 2,
    }
}

// Our book has caught up with what the channel's account had shown.
fn has_arrived(gap: &GapRow, ours: &HashMap<ItemKey, StoredItem>) -> bool {
    let Some(key) = &gap.key else { return false };
    let held = ours.get(key).map(|held| held.item.digest);
    gap.state == GapState::Suspected && gap.evidence.theirs != gap.evidence.ours && held == gap.evidence.theirs
}

// What decides when a look is due.
struct Pace<'a> {
    allowance_ms: u64,
    config: &'a ReconcileConfig,
}

fn is_due(
    gap: &GapRow,
    ours: &HashMap<ItemKey, StoredItem>,
    deliveries: &HashMap<DeliveryId, DeliveryRow>,
    look: Look,
    now: Timestamp,
    pace: &Pace<'_>,
) -> bool {
    let config = pace.config;
    if gap.state == GapState::Suspected {
        return now >= later(gap.evidence.compared_at, pace.allowance_ms);
    }
    let delivery = gap.delivery_id.filter(|_| gap.kind.was_sent()).and_then(|id| deliveries.get(&id));
    if delivery.is_some_and(|delivery| delivery.state.is_in_flight()) {
        return false;
    }
    let held = gap.key.as_ref().and_then(|key| ours.get(key)).map(|held| held.item.digest);
    let changed = gap.key.is_some() && held != gap.evidence.ours;
    let waited = |ms| look.waited(ms, now);
    if gap.state == GapState::Repairing {
        let started = gap.repair_started_at.unwrap_or(now);
        let patience_over = now >= later(started, config.repair_patience_ms);
        return (changed || patience_over || delivery.is_some()) && waited(config.recent_every_ms);
    }
    if gap.kind == GapKind::ManifestUnreliable {
        return waited(config.recent_every_ms.max(pace.allowance_ms));
    }
    waited(look.again_ms(held, changed, config))
}

// What was seen of one gap, and what follows.
struct Sight<'a> {
    gap: &'a GapRow,
    key: &'a ItemKey,
    seen: Seen,
    as_of: Timestamp,
    verdict: Verdict,
}

impl Sight<'_> {
    fn wants_a_witness(&self) -> bool {
        wants_a_witness(self.gap, &self.verdict)
    }
}

// Before a difference is confirmed, and before something is sent once more or given up.
fn wants_a_witness(gap: &GapRow, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Open => true,
        Verdict::Repair | Verdict::Leave(_) => gap.kind.was_sent(),
        _ => false,
    }
}

// One doubt for the day: an account of hours ago is wrong about hundreds of orders at once. A suspicion's account said so at its first look already.
fn records_differ(gap: &GapRow, now: Timestamp) -> Doubt {
    let window = Grain::Day.bucket(gap.window.start);
    let since = if gap.state == GapState::Suspected { gap.evidence.compared_at } else { now };
    Doubt { dataset: gap.dataset, window, grain: Grain::Ids, said_by: None, why: Unreliable::RecordsDiffer, since }
}

// Our book is read again just before deciding: it may have changed while the channel was asked.
async fn decide(
    tour: &mut Tour<'_>,
    looked: &mut Looked,
    gaps: &[GapRow],
    accounts: &Accounts,
) -> Result<(), ReconcileError> {
    let listed: Vec<GapRow> = gaps.iter().filter(|gap| accounts.as_of(gap).is_some()).cloned().collect();
    let ours = our_items(tour, &listed).await?;
    let deliveries = their_deliveries(tour, &listed).await?;
    let sent: Vec<SourceNumber> = listed
        .iter()
        .filter(|gap| gap.kind.was_sent())
        .filter_map(|gap| gap.key.as_ref().map(|key| key.number.clone()))
        .collect();
    let known = if sent.is_empty() { HashSet::new() } else { known_orders(tour.context, &sent).await? };
    let mut looks = Vec::new();
    for gap in &listed {
        let (Some(key), Some(as_of)) = (&gap.key, accounts.as_of(gap)) else { continue };
        let delivery = gap.delivery_id.and_then(|id| deliveries.get(&id)).cloned();
        let delivered =
            delivery.as_ref().and_then(|row| row.item.as_ref()).and_then(|item| accounts.items.get(&item.key));
        let seen = Seen {
            theirs: accounts.items.get(key).cloned(),
            ours: ours.get(key).cloned(),
            delivered: delivered.cloned(),
            delivery,
            order_known: known.contains(&(key.number.clone(), key.day)),
        };
        let now = tour.context.now();
        looked.note(gap, ours.get(key).map(|held| held.item.digest), now);
        let verdict = match gap.state {
            GapState::Suspected => second_look(gap, &seen, as_of, tour.allowance_ms()),
            _ => verify(gap, &seen, as_of, now, &tour.context.config),
        };
        looks.push(Sight { gap, key, seen, as_of, verdict });
    }
    let doubtful: HashSet<SourceNumber> =
        looks.iter().filter(|look| look.wants_a_witness()).map(|look| look.key.number.clone()).collect();
    // A record that can't be read now keeps only those waiting that need it.
    let (witness, unread) = match Witness::ask(tour, &doubtful).await {
        Ok(witness) => (witness, None),
        Err(error) => (Witness::default(), Some(error)),
    };
    let (mut gone, mut confirmed) = (Vec::new(), Vec::new());
    for Sight { gap, key, seen, as_of, mut verdict } in looks {
        if unread.is_some() && wants_a_witness(gap, &verdict) {
            verdict = Verdict::Wait;
        } else if verdict == Verdict::Open {
            verdict = match witness.says(key, seen.theirs.as_ref(), seen.ours.as_ref()) {
                Says::Theirs | Says::Nothing => Verdict::Open,
                Says::Neither => Verdict::Again,
                Says::Ours => {
                    tour.doubt(records_differ(gap, tour.context.now()));
                    Verdict::Forget
                }
            };
        } else if wants_a_witness(gap, &verdict) {
            let sent = seen.delivery.as_ref().and_then(|delivery| delivery.item.as_ref());
            if sent.is_some_and(|item| witness.shows(item)) {
                tour.doubt(records_differ(gap, tour.context.now()));
                verdict = Verdict::Wait;
            }
        }
        let now = tour.context.now();
        let evidence = GapEvidence {
            theirs: seen.theirs.as_ref().map(|item| item.digest),
            ours: seen.ours.as_ref().map(|held| held.item.digest),
            as_of,
            compared_at: now,
        };
        let elsewhere = seen.delivered.as_ref().is_some_and(|item| item.key != *key);
        if matches!(verdict, Verdict::Close(_)) && gap.kind.was_sent() && elsewhere {
            // It stands under another event id: the record tells that the old one is gone. Asked for before the gap is closed, so that a death in
            // between asks once more and never not at all.
            read_again(tour.context, gap).await?;
        }
        let difference = Difference { key: key.clone(), theirs: seen.theirs, ours: seen.ours };
        match apply(tour, gap, verdict, &difference, evidence).await? {
            Carried::Done => {}
            Carried::Vanished => gone.push(gap.id),
            Carried::Confirmed(evidence) => confirmed.push((gap, evidence)),
        }
    }
    open(tour, &confirmed).await?;
    forget(tour, &gone).await?;
    unread.map_or(Ok(()), Err)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gateway_model::{ChannelId, Dataset, Window};

    const HOUR_MS: u64 = 3_600_000;

    fn open_gap() -> GapRow {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        GapRow {
            id: GapId(1),
            channel: ChannelId::new("municipal-12345").unwrap(),
            dataset: Dataset::Acceptance,
            kind: GapKind::Differing,
            state: GapState::Open,
            key: None,
            window: Window::new(at, later(at, 1_000)),
            delivery_id: None,
            evidence: GapEvidence { theirs: None, ours: None, as_of: at, compared_at: at },
            generation: 3,
            first_seen_at: at,
            opened_at: Some(at),
            repair_started_at: None,
            ended_at: None,
            reason: Some("after 3 repairs the accounts still differ".to_owned()),
            by: None,
            group_id: None,
            detail: None,
        }
    }

    #[test]
    fn what_is_left_to_a_person_is_looked_at_ever_more_rarely_until_there_is_news() {
        let (config, gap) = (ReconcileConfig::default(), open_gap());
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let held = Some(Digest([1; 32]));
        let mut looked = Looked::default();
        let look = |looked: &mut Looked, held| {
            looked.note(&gap, held, at);
            looked.of(&gap).again_ms(held, false, &config) / HOUR_MS
        };
        let hours: Vec<u64> = (0..9).map(|_| look(&mut looked, held)).collect();
        assert_eq!(hours, [1, 1, 1, 2, 4, 8, 16, 24, 24]);
        let again = |looked: &Looked, held, moved| looked.of(&gap).again_ms(held, moved, &config);
        // Our book holds something else than at the last look.
        let other = Some(Digest([2; 32]));
        assert_eq!(again(&looked, other, true), config.recent_every_ms);
        // It was of no use: ever more rarely, from the shortest on.
        looked.note(&gap, other, at);
        let moved: Vec<u64> = (0..9)
            .map(|_| {
                looked.note(&gap, other, at);
                again(&looked, other, true) / 60_000
            })
            .collect();
        assert_eq!(moved, [2, 4, 8, 16, 32, 64, 128, 256, 512]);
        // The accounts agree about it and did not at the last look.
        looked.agree(HashMap::from([(gap.id, false)]));
        assert!(again(&looked, other, false) > HOUR_MS);
        looked.agree(HashMap::from([(gap.id, true)]));
        assert_eq!(again(&looked, other, false), HOUR_MS);
        looked.note(&gap, other, at);
        assert!(again(&looked, other, false) > HOUR_MS, "once for each time that they agree");
        looked.agree(HashMap::from([(gap.id, true)]));
        assert!(again(&looked, other, false) > HOUR_MS);
    }
}
