//! The lists that looks need: where the items lie, and which windows are cheaper in one call.

use crate::compare::{item_window, join_windows};
use crate::doubt::Doubt;
use crate::error::ReconcileError;
use crate::tour::Tour;
use gateway_model::{BookItem, Dataset, DeliveryId, GapId, GapState, Grain, ItemKey, SourceNumber, Timestamp, Window};
use gateway_store::{DeliveryRow, GapRow, StoredItem};
use std::collections::{BTreeMap, HashMap};

/// Our items of the gaps' orders.
pub(crate) async fn our_items(
    tour: &Tour<'_>,
    gaps: &[GapRow],
) -> Result<HashMap<ItemKey, StoredItem>, ReconcileError> {
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

/// The deliveries that confirmed gaps are about.
pub(crate) async fn their_deliveries(
    tour: &Tour<'_>,
    gaps: &[GapRow],
) -> Result<HashMap<DeliveryId, DeliveryRow>, ReconcileError> {
    let confirmed = gaps.iter().filter(|gap| gap.state != GapState::Suspected);
    let ids: Vec<DeliveryId> = confirmed.filter_map(|gap| gap.delivery_id).collect();
    let mut deliveries = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(500) {
        let rows = tour.context.store.deliveries(ids).await?;
        deliveries.extend(rows.into_iter().map(|row| (row.id, row)));
    }
    Ok(deliveries)
}

/// What the channel listed for these looks.
#[derive(Default)]
pub(crate) struct Accounts {
    pub(crate) items: HashMap<ItemKey, BookItem>,
    listed: Vec<(Dataset, Window, Timestamp)>,
    wanted: HashMap<GapId, Vec<Window>>,
}

impl Accounts {
    /// Lists what these gaps need, as far as half of the round's means go.
    pub(crate) async fn fetch(
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
                    Err(why) => {
                        let since = tour.context.now();
                        tour.doubt(Doubt { dataset, window, grain: Grain::Ids, said_by: None, why, since });
                    }
                }
            }
        }
        Ok(())
    }

    /// When the account of a gap was true; `None` unless all its windows were listed.
    pub(crate) fn as_of(&self, gap: &GapRow) -> Option<Timestamp> {
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
