//! Second looks at suspicions, and looks that verify repairs.
//!
//! Ids are listed only in the seconds that the items lie in, joined where they are close. What our own book can tell is not asked of the channel: a
//! suspicion whose item has arrived meanwhile is forgotten without a call.

use crate::classify::{Sent, kind_of, known_orders, sent_by};
use crate::compare::{Difference, item_window, join_windows};
use crate::config::{ReconcileConfig, later};
use crate::error::ReconcileError;
use crate::gaps;
use crate::repair::{leave, repair};
use crate::sweep::evidence_of;
use crate::tour::{Sums, Tour, total};
use crate::verdict::{Seen, Verdict, is_fresh, second_look, unrepaired, verify, was_sent};
use gateway_model::{
    BookItem, Dataset, DeliveryId, Digest, GapEvidence, GapId, GapKind, GapState, Grain, ItemKey, SourceNumber,
    Timestamp, Window,
};
use gateway_store::{DeliveryRow, GapRow, StoredItem};
use std::collections::{BTreeMap, HashMap, HashSet};

const DECIDE_AT_ONCE: usize = 50;

/// When gaps were last looked at; kept from round to round.
pub(crate) type Looked = HashMap<GapId, Timestamp>;

/// Looks at everything that is due, as far as half of the round's means go.
pub(crate) async fn look(tour: &mut Tour<'_>, looked: &mut Looked, finest: Grain) -> Result<(), ReconcileError> {
    let context = tour.context;
    let mut watched = Vec::new();
    for state in [GapState::Repairing, GapState::Suspected, GapState::Open] {
        watched.extend(gaps::in_state(context, state).await?.into_iter().filter(|gap| gap.kind != GapKind::LostOffset));
    }
    let active: HashSet<GapId> = watched.iter().map(|gap| gap.id).collect();
    looked.retain(|id, _| active.contains(id));
    let ours = our_items(tour, &watched).await?;
    let deliveries = their_deliveries(tour, &watched).await?;
    let now = context.now();

    let arrived = |gap: &&GapRow| has_arrived(gap, &ours);
    let gone: HashSet<GapId> = watched.iter().filter(arrived).map(|gap| gap.id).collect();
    forget(tour, &gone.iter().copied().collect::<Vec<_>>()).await?;
    watched.retain(|gap| {
        !gone.contains(&gap.id) && is_due(gap, &ours, &deliveries, looked.get(&gap.id).copied(), now, &context.config)
    });

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

async fn forget(tour: &mut Tour<'_>, ids: &[GapId]) -> Result<(), ReconcileError> {
    if ids.is_empty() {
        return Ok(());
    }
    tour.context.store.forget(ids).await?;
    tour.vanished += ids.len() as u64;
    let channel = tour.context.channel.to_string();
    metrics::counter!("gateway_reconcile_vanished_total", "channel" => channel).increment(ids.len() as u64);
    Ok(())
}

// Our book has caught up with what the channel's account had shown.
fn has_arrived(gap: &GapRow, ours: &HashMap<ItemKey, StoredItem>) -> bool {
    let Some(key) = &gap.key else { return false };
    let held = ours.get(key).map(|held| held.item.digest);
    gap.state == GapState::Suspected && gap.evidence.theirs != gap.evidence.ours && held == gap.evidence.theirs
}

fn is_due(
    gap: &GapRow,
    ours: &HashMap<ItemKey, StoredItem>,
    deliveries: &HashMap<DeliveryId, DeliveryRow>,
    looked: Option<Timestamp>,
    now: Timestamp,
    config: &ReconcileConfig,
) -> bool {
    if gap.state == GapState::Suspected {
        return now >= later(gap.evidence.compared_at, config.second_look_after_ms);
    }
    let delivery = gap.delivery_id.filter(|_| was_sent(gap.kind)).and_then(|id| deliveries.get(&id));
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
    (changed && waited(config.recent_every_ms)) || waited(config.whole_every_ms)
}

async fn our_items(tour: &Tour<'_>, gaps: &[GapRow]) -> Result<HashMap<ItemKey, StoredItem>, ReconcileError> {
    let mut numbers: BTreeMap<Dataset, Vec<SourceNumber>> = BTreeMap::new();
    for key in gaps.iter().filter_map(|gap| gap.key.as_ref()) {
        numbers.entry(key.dataset).or_default().push(key.number.clone());
    }
    let mut items = HashMap::new();
    for (dataset, mut numbers) in numbers {
        numbers.sort_unstable();
        numbers.dedup();
        for numbers in numbers.chunks(500) {
            let held = tour.context.store.items_of(&tour.context.channel, dataset, numbers).await?;
            items.extend(held.into_iter().map(|held| (held.item.key.clone(), held)));
        }
    }
    Ok(items)
}

async fn their_deliveries(
    tour: &Tour<'_>,
    gaps: &[GapRow],
) -> Result<HashMap<DeliveryId, DeliveryRow>, ReconcileError> {
    let mut deliveries = HashMap::new();
    for gap in gaps.iter().filter(|gap| gap.state != GapState::Suspected) {
        if let Some(id) = gap.delivery_id
            && let Some(row) = tour.context.store.delivery(id).await?
        {
            deliveries.insert(id, row);
        }
    }
    Ok(deliveries)
}

/// What the channel listed for these looks.
#[derive(Default)]
struct Accounts {
    items: HashMap<ItemKey, BookItem>,
    listed: Vec<(Dataset, Window, Timestamp)>,
    wanted: HashMap<GapId, Vec<Window>>,
}

impl Accounts {
    async fn fetch(
        &mut self,
        tour: &mut Tour<'_>,
        gaps: &[GapRow],
        ours: &HashMap<ItemKey, StoredItem>,
        deliveries: &HashMap<DeliveryId, DeliveryRow>,
    ) -> Result<(), ReconcileError> {
        let mut windows: BTreeMap<Dataset, Vec<Window>> = BTreeMap::new();
        for gap in gaps {
            let Some(key) = &gap.key else { continue };
            let held = ours.get(key).map(|held| held.item.event_time);
            let sent = gap.delivery_id.and_then(|id| deliveries.get(&id)).and_then(|row| row.item.as_ref());
            let places = held.into_iter().chain(sent.map(|item| item.event_time)).map(item_window);
            let wanted: Vec<Window> = std::iter::once(gap.window).chain(places).collect();
            windows.entry(gap.dataset).or_default().extend(&wanted);
            self.wanted.insert(gap.id, wanted);
        }
        for (dataset, windows) in windows {
            let density = Density::of(tour, dataset, &windows).await?;
            for window in join_windows(windows, |last, next| density.worth_joining(last, next)) {
                if tour.is_half_spent() {
                    return Ok(());
                }
                // An account that contradicts itself is asked for once more, then reported.
                let mut answer = tour.items(dataset, window).await?;
                if answer.is_err() {
                    answer = tour.items(dataset, window).await?;
                }
                match answer {
                    Ok((items, as_of)) => {
                        self.items.extend(items.into_iter().map(|item| (item.key.clone(), item)));
                        self.listed.push((dataset, window, as_of));
                    }
                    Err(unreliable) => tour.doubt(dataset, window, Grain::Ids, unreliable),
                }
            }
        }
        Ok(())
    }

    // When the account of a gap was true; `None` unless all its windows were listed.
    fn as_of(&self, gap: &GapRow) -> Option<Timestamp> {
        let covers = |window: &Window| {
            let around = |(dataset, listed, _): &&(Dataset, Window, Timestamp)| {
                *dataset == gap.dataset && listed.intersect(window) == *window
            };
            self.listed.iter().find(around).map(|(_, _, as_of)| *as_of)
        };
        let times: Option<Vec<Timestamp>> = self.wanted.get(&gap.id)?.iter().map(covers).collect();
        times?.into_iter().min()
    }
}

/// How many items the days hold, as far as we know: it decides which windows are cheaper in one list than in two.
struct Density {
    days: HashMap<Timestamp, u64>,
    between: u64,
    most: u64,
}

impl Density {
    async fn of(tour: &Tour<'_>, dataset: Dataset, windows: &[Window]) -> Result<Self, ReconcileError> {
        let config = &tour.context.config;
        let mut days: HashMap<Timestamp, u64> = HashMap::new();
        let first = windows.iter().map(|window| window.start).min();
        let last = windows.iter().map(|window| window.start).max();
        if let (Some(first), Some(last)) = (first, last) {
            let span = Window::new(Grain::Day.bucket(first).start, Grain::Day.bucket(last).end);
            let held = tour.our_sums(dataset, span, Grain::Day).await?;
            days.extend(held.into_iter().map(|bucket| (bucket.start, bucket.count)));
        }
        // What we lack is not in our book.
        for window in windows {
            *days.entry(Grain::Day.bucket(window.start).start).or_default() += 1;
        }
        Ok(Self { days, between: config.list_below_items, most: config.ids_per_call })
    }

    fn worth_joining(&self, last: &Window, next: &Window) -> bool {
        self.items(last.end, next.start) <= self.between && self.items(last.start, next.end) <= self.most
    }

    fn items(&self, from: Timestamp, to: Timestamp) -> u64 {
        const DAY_S: i64 = 86_400;
        let mut items = 0;
        let mut day = Grain::Day.bucket(from);
        while day.start < to {
            let inside = day.intersect(&Window::new(from, to));
            let seconds = inside.end.as_second() - inside.start.as_second();
            let held = self.days.get(&day.start).copied().unwrap_or_default();
            // Rounded up: a day that holds anything may hold it right here.
            items += held.saturating_mul(seconds.unsigned_abs()).div_ceil(DAY_S as u64);
            if items > self.most {
                break;
            }
            day = Grain::Day.bucket(day.end);
        }
        items
    }
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
    let mut gone = Vec::new();
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
        };
        let now = tour.context.now();
        looked.insert(gap.id, now);
        let evidence = GapEvidence {
            theirs: seen.theirs.as_ref().map(|item| item.digest),
            ours: seen.ours.as_ref().map(|held| held.item.digest),
            as_of,
            compared_at: now,
        };
        let config = &tour.context.config;
        let verdict = match gap.state {
            GapState::Suspected => second_look(gap, &seen, as_of, config),
            _ => verify(gap, &seen, as_of, now, config),
        };
        let difference = Difference { key: key.clone(), theirs: seen.theirs, ours: seen.ours };
        if apply(tour, gap, verdict, &difference, evidence).await? {
            gone.push(gap.id);
        }
    }
    forget(tour, &gone).await
}

// Carries a verdict out; `true` when the suspicion is to be forgotten.
async fn apply(
    tour: &mut Tour<'_>,
    gap: &GapRow,
    verdict: Verdict,
    difference: &Difference,
    evidence: GapEvidence,
) -> Result<bool, ReconcileError> {
    let context = tour.context;
    let now = context.now();
    match verdict {
        Verdict::Wait => {}
        Verdict::Forget => return Ok(true),
        Verdict::Again => {
            let sent = sent_by(context, difference).await?;
            if sent == Sent::InFlight {
                return Ok(true);
            }
            let order = known_orders(context, std::slice::from_ref(&difference.key.number)).await?;
            let known = order.contains(&(difference.key.number.clone(), difference.key.day));
            context.store.suspect_again(gap.id, kind_of(difference, sent, known), evidence, now).await?;
        }
        Verdict::Open => {
            if sent_by(context, difference).await? == Sent::InFlight {
                return Ok(true);
            }
            open(tour, gap, evidence).await?;
        }
        Verdict::Close(reason) => close(tour, gap, reason.as_deref()).await?,
        Verdict::Repair => {
            repair(context, gap).await?;
        }
        Verdict::Leave(reason) => leave(context, gap, &reason, now).await?,
    }
    Ok(false)
}

async fn open(tour: &Tour<'_>, gap: &GapRow, evidence: GapEvidence) -> Result<(), ReconcileError> {
    let context = tour.context;
    context.store.move_gap(gap.id, GapState::Open, Some(evidence), None, None, context.now()).await?;
    let channel = context.channel.to_string();
    metrics::counter!("gateway_reconcile_gaps_opened_total", "channel" => channel, "kind" => gap.kind.as_str())
        .increment(1);
    tracing::warn!(channel = %context.channel, gap = %gap.id, dataset = %gap.dataset, kind = %gap.kind, "sync gap confirmed");
    Ok(())
}

async fn close(tour: &Tour<'_>, gap: &GapRow, reason: Option<&str>) -> Result<(), ReconcileError> {
    let context = tour.context;
    context.store.move_gap(gap.id, GapState::Closed, None, reason, None, context.now()).await?;
    let channel = context.channel.to_string();
    metrics::counter!("gateway_reconcile_gaps_closed_total", "channel" => channel, "kind" => gap.kind.as_str())
        .increment(1);
    tracing::info!(channel = %context.channel, gap = %gap.id, dataset = %gap.dataset, kind = %gap.kind, "sync gap closed");
    Ok(())
}

// Gaps of channels that can't name items: their windows' sums are compared again.
async fn look_at_sums(
    tour: &mut Tour<'_>,
    looked: &mut Looked,
    finest: Grain,
    gaps: &[GapRow],
) -> Result<(), ReconcileError> {
    for gap in gaps.iter().filter(|gap| gap.kind == GapKind::CountMismatch) {
        if tour.is_half_spent() {
            break;
        }
        let Ok((theirs, as_of)) = tour.sums(gap.dataset, gap.window, finest).await? else { continue };
        let ours = total(&tour.our_sums(gap.dataset, gap.window, finest).await?);
        let now = tour.context.now();
        looked.insert(gap.id, now);
        let (theirs, ours) = match theirs {
            Sums::Buckets(buckets) => (evidence_of(total(&buckets)), evidence_of(ours)),
            Sums::Count(count) => (count_evidence(count), count_evidence(ours.count)),
        };
        let evidence = GapEvidence { theirs: Some(theirs), ours: Some(ours), as_of, compared_at: now };
        match (gap.state, theirs == ours) {
            (GapState::Suspected, true) => forget(tour, &[gap.id]).await?,
            (GapState::Suspected, false) => {
                if !is_fresh(&gap.evidence, as_of, tour.context.config.second_look_after_ms) {
                    continue;
                }
                if gap.evidence.theirs == Some(theirs) && gap.evidence.ours == Some(ours) {
                    open(tour, gap, evidence).await?;
                } else {
                    tour.context.store.suspect_again(gap.id, gap.kind, evidence, now).await?;
                }
            }
            (_, true) => close(tour, gap, None).await?,
            (_, false) => {
                if let Verdict::Repair = unrepaired(gap, now, &tour.context.config) {
                    repair(tour.context, gap).await?;
                } else if let Verdict::Leave(reason) = unrepaired(gap, now, &tour.context.config) {
                    leave(tour.context, gap, &reason, now).await?;
                }
            }
        }
    }
    Ok(())
}

fn count_evidence(count: u64) -> Digest {
    evidence_of(crate::compare::Tally { count, ..Default::default() })
}
