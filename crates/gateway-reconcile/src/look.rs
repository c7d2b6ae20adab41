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
use crate::gaps;
use crate::look_sums::look_at_sums;
use crate::reliability::Unreliable;
use crate::repair::read_again;
use crate::tour::Tour;
use crate::verdict::{Seen, Verdict, second_look, verify};
use crate::witness::{Says, Witness};
use gateway_model::{DeliveryId, GapEvidence, GapId, GapKind, GapState, Grain, ItemKey, SourceNumber, Timestamp};
use gateway_store::{DeliveryRow, GapRow, StoredItem};
use std::collections::{HashMap, HashSet};

const DECIDE_AT_ONCE: usize = 50;

/// When gaps were last looked at; kept from round to round.
pub(crate) type Looked = HashMap<GapId, Timestamp>;

/// Looks at everything that is due, as far as half of the round's means go.
pub(crate) async fn look(tour: &mut Tour<'_>, looked: &mut Looked, finest: Grain) -> Result<(), ReconcileError> {
    let context = tour.context;
    let mut watched = Vec::new();
    for state in [GapState::Repairing, GapState::Suspected, GapState::Open] {
        watched.extend(gaps::in_state(context, state).await?.into_iter().filter(|gap| is_compared(gap.kind)));
    }
    let active: HashSet<GapId> = watched.iter().map(|gap| gap.id).collect();
    looked.retain(|id, _| active.contains(id));
    let ours = our_items(tour, &watched).await?;
    let deliveries = their_deliveries(tour, &watched).await?;
    let now = context.now();

    let pace = Pace { allowance_ms: tour.allowance_ms(), config: &context.config };
    let arrived = |gap: &&GapRow| has_arrived(gap, &ours);
    let gone: HashSet<GapId> = watched.iter().filter(arrived).map(|gap| gap.id).collect();
    forget(tour, &gone.iter().copied().collect::<Vec<_>>()).await?;
    watched.retain(|gap| {
        !gone.contains(&gap.id) && is_due(gap, &ours, &deliveries, looked.get(&gap.id).copied(), now, &pace)
    });

    look_at_doubts(tour, looked, &watched).await?;
    look_at_sums(tour, looked, finest, &watched).await?;
    watched.retain(|gap| gap.key.is_some());
    let mut accounts = Accounts::default();
    let asked = accounts.fetch(tour, &watched, &ours, &deliveries).await;
    // What was seen before a call failed is decided on all the same.
    for few in watched.chunks(DECIDE_AT_ONCE) {
        tour.keep_lease().await?;
        decide(tour, looked, few, &accounts).await?;
    }
    asked
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

// Whether the channel's account can tell anything about a gap of this kind.
fn is_compared(kind: GapKind) -> bool {
    !matches!(kind, GapKind::LostOffset | GapKind::BookDamaged)
}

fn is_due(
    gap: &GapRow,
    ours: &HashMap<ItemKey, StoredItem>,
    deliveries: &HashMap<DeliveryId, DeliveryRow>,
    looked: Option<Timestamp>,
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
    let waited = |ms| looked.is_none_or(|looked| now >= later(looked, ms));
    if gap.state == GapState::Repairing {
        let started = gap.repair_started_at.unwrap_or(now);
        let patience_over = now >= later(started, config.repair_patience_ms);
        return (changed || patience_over || delivery.is_some()) && waited(config.recent_every_ms);
    }
    if gap.kind == GapKind::ManifestUnreliable {
        return waited(config.recent_every_ms.max(pace.allowance_ms));
    }
    (changed && waited(config.recent_every_ms)) || waited(config.relook_every_ms())
}

// What was seen of one gap, and what follows.
struct Look<'a> {
    gap: &'a GapRow,
    key: &'a ItemKey,
    seen: Seen,
    as_of: Timestamp,
    verdict: Verdict,
}

impl Look<'_> {
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
        looked.insert(gap.id, now);
        let verdict = match gap.state {
            GapState::Suspected => second_look(gap, &seen, as_of, tour.allowance_ms()),
            _ => verify(gap, &seen, as_of, now, &tour.context.config),
        };
        looks.push(Look { gap, key, seen, as_of, verdict });
    }
    let doubtful: HashSet<SourceNumber> =
        looks.iter().filter(|look| look.wants_a_witness()).map(|look| look.key.number.clone()).collect();
    // A record that can't be read now keeps only those waiting that need it.
    let (witness, unread) = match Witness::ask(tour, &doubtful).await {
        Ok(witness) => (witness, None),
        Err(error) => (Witness::default(), Some(error)),
    };
    let (mut gone, mut confirmed) = (Vec::new(), Vec::new());
    for Look { gap, key, seen, as_of, mut verdict } in looks {
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
