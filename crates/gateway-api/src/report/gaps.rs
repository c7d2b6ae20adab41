//! Gaps as they had lived by an instant: what was found, what was repaired, what was left.

use super::account::Lacking;
use super::figures::Durations;
use crate::views::ChinaTime;
use gateway_model::{ChannelId, Dataset, Day, GapId, GapKind, GapState, Timestamp, Window, day_of};
use gateway_store::{GapRow, GapStep};
use serde::Serialize;
use std::collections::BTreeMap;

/// A gap as it stood.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GapLine {
    pub(crate) id: GapId,
    pub(crate) channel: ChannelId,
    pub(crate) dataset: Dataset,
    pub(crate) kind: GapKind,
    pub(crate) number: Option<String>,
    pub(crate) part: Option<String>,
    pub(crate) window: GapWindow,
    pub(crate) state: GapState,
    pub(crate) opened_at: ChinaTime,
    /// When its first repair began.
    pub(crate) repair_started_at: Option<ChinaTime>,
    /// How many repairs were begun.
    pub(crate) generation: u32,
    /// When it was closed or waived.
    pub(crate) ended_at: Option<ChinaTime>,
    pub(crate) reason: Option<String>,
    pub(crate) by: Option<String>,
}

/// The event times that a gap is about.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct GapWindow {
    pub(crate) start: ChinaTime,
    pub(crate) end: ChinaTime,
}

impl GapLine {
    /// The gap after its steps; `None` while it has not opened.
    pub(crate) fn new(row: &GapRow, steps: &[GapStep]) -> Option<Self> {
        let last = steps.last()?;
        let opened = steps.iter().find(|step| step.state == GapState::Open)?;
        let repaired = steps.iter().find(|step| step.state == GapState::Repairing);
        let ended = matches!(last.state, GapState::Closed | GapState::Waived);
        Some(Self {
            id: row.id,
            channel: row.channel.clone(),
            dataset: row.dataset,
            kind: row.kind,
            number: row.key.as_ref().map(|key| key.number.to_string()),
            part: row.key.as_ref().map(|key| key.part.to_string()),
            window: GapWindow { start: ChinaTime(row.window.start), end: ChinaTime(row.window.end) },
            state: last.state,
            opened_at: ChinaTime(opened.at),
            repair_started_at: repaired.map(|step| ChinaTime(step.at)),
            generation: last.generation,
            ended_at: ended.then_some(ChinaTime(last.at)),
            reason: last.reason.clone(),
            by: last.by.clone(),
        })
    }

    fn is_unfinished(&self) -> bool {
        matches!(self.state, GapState::Open | GapState::Repairing)
    }

    pub(crate) fn opened_in(&self, window: &Window) -> bool {
        window.contains(self.opened_at.0)
    }

    fn ended_in(&self, window: &Window, state: GapState) -> bool {
        self.state == state && self.ended_at.is_some_and(|at| window.contains(at.0))
    }

    /// Whether the report of a window has to tell of it: it opened or ended in it, or is unfinished.
    pub(crate) fn concerns(&self, window: &Window) -> bool {
        self.is_unfinished() || self.moved_in(window)
    }

    /// Whether it opened or ended in a window.
    pub(crate) fn moved_in(&self, window: &Window) -> bool {
        self.opened_in(window) || self.ended_at.is_some_and(|at| window.contains(at.0))
    }

    /// The event day that it is about, unless it is about several.
    fn event_day(&self) -> Option<Day> {
        let first = day_of(self.window.start.0);
        let last = day_of(Timestamp::from_nanosecond(self.window.end.0.as_nanosecond() - 1).ok()?);
        (first >= last).then_some(first)
    }
}

/// Gaps counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct GapCounts {
    /// Opened in the period.
    pub(crate) opened: u64,
    /// Closed in it: a new comparison found no difference.
    pub(crate) repaired: u64,
    /// Waived in it.
    pub(crate) waived: u64,
    /// Open or repairing at the end.
    pub(crate) unfinished: u64,
}

impl GapCounts {
    pub(crate) fn add(&mut self, gap: &GapLine, window: &Window) {
        self.opened += u64::from(gap.opened_in(window));
        self.repaired += u64::from(gap.ended_in(window, GapState::Closed));
        self.waived += u64::from(gap.ended_in(window, GapState::Waived));
        self.unfinished += u64::from(gap.is_unfinished());
    }
}

/// Gaps of a kind.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KindLine {
    pub(crate) channel: ChannelId,
    pub(crate) dataset: Dataset,
    pub(crate) kind: GapKind,
    #[serde(flatten)]
    pub(crate) gaps: GapCounts,
}

/// Unfinished gaps of a channel by how long they are there, and how long the repaired ones took from opening to closing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AgeLine {
    pub(crate) channel: ChannelId,
    pub(crate) up_to_1_day: u64,
    pub(crate) up_to_3_days: u64,
    pub(crate) up_to_7_days: u64,
    pub(crate) older: u64,
    /// Those closed in the period.
    pub(crate) time_to_repair: Durations,
}

impl AgeLine {
    /// How many are unfinished.
    pub(crate) fn unfinished(&self) -> u64 {
        self.up_to_1_day + self.up_to_3_days + self.up_to_7_days + self.older
    }
}

pub(crate) fn kinds(gaps: &[GapLine], window: &Window) -> Vec<KindLine> {
    let mut kinds: BTreeMap<(ChannelId, Dataset, GapKind), GapCounts> = BTreeMap::new();
    for gap in gaps.iter().filter(|gap| gap.concerns(window)) {
        kinds.entry((gap.channel.clone(), gap.dataset, gap.kind)).or_default().add(gap, window);
    }
    kinds.into_iter().map(|((channel, dataset, kind), gaps)| KindLine { channel, dataset, kind, gaps }).collect()
}

/// The ages of a channel's gaps at `end`.
pub(crate) fn ages(channel: &ChannelId, gaps: &[GapLine], window: &Window, end: Timestamp) -> AgeLine {
    const DAY_MS: i64 = 86_400_000;
    let mut line = AgeLine {
        channel: channel.clone(),
        up_to_1_day: 0,
        up_to_3_days: 0,
        up_to_7_days: 0,
        older: 0,
        time_to_repair: Durations::exact(repair_times(gaps, window)),
    };
    for gap in gaps.iter().filter(|gap| gap.is_unfinished()) {
        let age = end.as_millisecond() - gap.opened_at.0.as_millisecond();
        let place = match age {
            age if age <= DAY_MS => &mut line.up_to_1_day,
            age if age <= 3 * DAY_MS => &mut line.up_to_3_days,
            age if age <= 7 * DAY_MS => &mut line.up_to_7_days,
            _ => &mut line.older,
        };
        *place += 1;
    }
    line
}

fn repair_times(gaps: &[GapLine], window: &Window) -> Vec<u64> {
    let closed = gaps.iter().filter(|gap| gap.ended_in(window, GapState::Closed));
    let took = |gap: &GapLine| {
        let ms = gap.ended_at?.0.as_millisecond() - gap.opened_at.0.as_millisecond();
        u64::try_from(ms).ok()
    };
    closed.filter_map(took).collect()
}

/// What unfinished gaps say is lacking, by event day and dataset.
pub(crate) fn lacking(gaps: &[GapLine]) -> BTreeMap<(Day, Dataset), Lacking> {
    let mut days: BTreeMap<(Day, Dataset), Lacking> = BTreeMap::new();
    for gap in gaps.iter().filter(|gap| gap.is_unfinished()) {
        let Some(day) = gap.event_day() else { continue };
        let lacking = days.entry((day, gap.dataset)).or_default();
        match gap.kind {
            GapKind::MissingOrder | GapKind::MissingItem => lacking.missing += 1,
            GapKind::Differing | GapKind::HeldDifferently => lacking.differing += 1,
            _ => {}
        }
    }
    days
}
