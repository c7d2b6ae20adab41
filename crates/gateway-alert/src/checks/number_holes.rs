//! Numbers that never came: indirect evidence of lost orders, most useful where a channel offers no manifest.

use super::latch::elapsed;
use super::numbering::{Hole, Shape, holes, parts, range_of, runs};
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{ChannelId, Day, Moment, Severity, Timestamp, day_of};
use gateway_store::Store;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Numbers looked at to learn how they are built.
const SAMPLE: u32 = 500;
/// Different ways of building them, at most.
const SHAPES: usize = 8;
/// Numbers of a day, at most; a day with more is not judged.
const MOST_OF_DAY: u32 = 20_000;
/// Ranges told at most.
const RANGES: usize = 5;
/// Days that teach.
const TAUGHT_BY: i32 = 14;

/// When missing numbers are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NumberHolesConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// A day is judged so many hours after its end.
    pub late_h: u64,
    /// So many past days are judged; at most 14.
    pub days: u32,
    /// Between two looks; numbers are read from the store by the thousand.
    pub every_s: u64,
}

impl Default for NumberHolesConfig {
    fn default() -> Self {
        Self { enabled: true, late_h: 6, days: 7, every_s: 3_600 }
    }
}

/// `number_holes`, by channel that we pull from or that pushes; subject = what its numbers begin with. Count = missing numbers. Info where the last
/// whole comparison with the channel's manifest was in step (the numbers were never given), else a warning. Facts: `missing`, `ranges` (as
/// `20261120 000123-000125, …`, five at most, the latest first), `more` (ranges not told).
pub(super) struct NumberHoles {
    store: Arc<dyn Store>,
    channels: Vec<ChannelId>,
    config: NumberHolesConfig,
    looked_at: Option<Timestamp>,
    found: Vec<Finding>,
}

impl NumberHoles {
    pub(super) fn new(deps: &CheckDeps, config: NumberHolesConfig) -> Self {
        let sending = deps.channels.iter().filter(|channel| channel.sends());
        let channels = sending.map(|channel| channel.id.clone()).collect();
        Self { store: deps.store.clone(), channels, config, looked_at: None, found: Vec::new() }
    }

    /// How the channel's numbers are built, in any of the ways that are found among the highest of each beginning.
    async fn shapes(&self, channel: &ChannelId, from: Day, to: Day) -> Result<Vec<Shape>, CheckError> {
        let mut shapes = BTreeSet::new();
        let mut below: Option<String> = None;
        for _ in 0..SHAPES {
            let sample = self.store.numbers_below(channel, below.as_deref(), SAMPLE).await?;
            let Some(last) = sample.last() else { break };
            let mut counts: BTreeMap<Shape, usize> = BTreeMap::new();
            for parts in sample.iter().filter_map(|number| parts(number.as_str(), from, to)) {
                *counts.entry(parts.shape).or_default() += 1;
            }
            let usual = counts.into_iter().max_by_key(|(_, count)| *count).map(|(shape, _)| shape);
            // Whatever begins with the prefix lies above the prefix itself.
            below = Some(usual.as_ref().map_or_else(|| last.as_str().to_owned(), |shape| shape.prefix.clone()));
            let ended = below.as_deref() == Some("");
            shapes.extend(usual);
            if ended {
                break;
            }
        }
        Ok(shapes.into_iter().collect())
    }

    /// The counters of each day; `None` when a day has too many.
    async fn counters(
        &self,
        channel: &ChannelId,
        shape: &Shape,
        days: &[Day],
    ) -> Result<Option<BTreeMap<Day, Vec<u64>>>, CheckError> {
        let mut counters = BTreeMap::new();
        for day in days {
            let (start, end) = range_of(shape, *day);
            let numbers = self.store.numbers_between(channel, &start, &end, MOST_OF_DAY).await?;
            if numbers.len() >= MOST_OF_DAY as usize {
                return Ok(None);
            }
            let of_shape = numbers.iter().filter_map(|number| parts(number.as_str(), *day, *day));
            let of_day: BTreeSet<u64> =
                of_shape.filter(|parts| parts.shape == *shape).map(|parts| parts.counter).collect();
            counters.insert(*day, of_day.into_iter().collect());
        }
        Ok(Some(counters))
    }

    async fn missing(&self, channel: &ChannelId, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        // The last day that is over for long enough.
        let judged = super::latch::ago(now, Duration::from_secs(self.config.late_h.saturating_mul(3_600)));
        let days: Vec<Day> = std::iter::successors(day_of(judged).yesterday().ok(), |day| day.yesterday().ok())
            .take(TAUGHT_BY as usize)
            .collect();
        let (Some(newest), Some(oldest)) = (days.first(), days.last()) else { return Ok(Vec::new()) };
        let told_from = days.get(self.config.days as usize - 1).unwrap_or(oldest);
        let mut findings = Vec::new();
        let today = day_of(now);
        for shape in self.shapes(channel, *oldest, today).await? {
            let Some(counters) = self.counters(channel, &shape, &days).await? else { continue };
            let Some(first) = runs(&counters) else { continue };
            let told = counters.range(told_from..=newest).rev();
            let missing: Vec<(Day, Hole)> =
                told.flat_map(|(day, counters)| holes(counters, first).into_iter().map(|hole| (*day, hole))).collect();
            let Some((since, _)) = missing.last() else { continue };
            let count: u64 = missing.iter().map(|(_, hole)| hole.len()).sum();
            let width = shape.width;
            let ranges = missing.iter().take(RANGES).map(|(day, hole)| {
                let day = day.strftime("%Y%m%d");
                if hole.from == hole.to {
                    format!("{day} {:0width$}", hole.from)
                } else {
                    format!("{day} {:0width$}-{:0width$}", hole.from, hole.to)
                }
            });
            let facts = [
                ("missing", count.to_string()),
                ("ranges", ranges.collect::<Vec<_>>().join(", ")),
                ("more", missing.len().saturating_sub(RANGES).to_string()),
            ];
            let since = Moment::On(since.tomorrow().unwrap_or(*since)).start();
            let prefix: String = shape.prefix.chars().take(32).collect();
            findings.push(finding("number_holes", Some(channel), &prefix, Severity::Warning, count, since, facts));
        }
        if !findings.is_empty() {
            let compared = self.store.last_comparison(channel, gateway_store::ComparisonKind::Whole).await?;
            if compared.is_some_and(|comparison| comparison.in_step) {
                findings.iter_mut().for_each(|finding| finding.severity = Severity::Info);
            }
        }
        Ok(findings)
    }
}

#[async_trait]
impl Check for NumberHoles {
    fn name(&self) -> &'static str {
        "number_holes"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let every = Duration::from_secs(self.config.every_s);
        if self.looked_at.is_some_and(|at| elapsed(at, now) < every) {
            return Ok(self.found.clone());
        }
        let mut found = Vec::new();
        for channel in &self.channels {
            found.extend(self.missing(channel, now).await?);
        }
        self.looked_at = Some(now);
        self.found = found.clone();
        Ok(found)
    }
}
