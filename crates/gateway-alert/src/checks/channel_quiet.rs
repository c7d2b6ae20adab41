//! A channel is quieter than its own habit for this hour and weekday.

use super::habit::{Hour, Hours, Judgement, Silence, WEEKS};
use super::latch::{ago, elapsed};
use super::pipeline_lag::unaccounted;
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_bus::{Bus, TopicName};
use gateway_model::{ChannelId, Grain, Severity, Timestamp};
use gateway_store::{FlowPosition, Store, WatchedHour};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const HOUR_S: i64 = 3_600;
/// Weeks of arrivals that are kept: those of the habit, and those by which burstiness is told.
const KEPT: Duration = Duration::from_secs((WEEKS as u64 + 4) * 7 * 86_400);
/// Between two prunings.
const PRUNE_EVERY: Duration = Duration::from_secs(86_400);

/// When a channel is quiet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelQuietConfig {
    /// Whether it is looked at. Habits are learnt all the same.
    pub enabled: bool,
    /// Less than this share of the usual is too little, 0 to 1. Holidays bring about four tenths, and must not be told.
    pub share: f64,
    /// The probability below which it is not chance.
    pub improbable: f64,
    /// The longest stretch looked at, in hours.
    pub longest_h: u32,
    /// While a channel has no habit yet (less than two weeks): nothing for this long is silence, in hours; 0 = nothing is told.
    pub without_habit_h: u32,
    /// Between two looks for longer than this nobody was watching: the time between counts for nothing.
    pub gap_s: u64,
}

impl Default for ChannelQuietConfig {
    fn default() -> Self {
        Self { enabled: true, share: 0.3, improbable: 1e-6, longest_h: 72, without_habit_h: 0, gap_s: 900 }
    }
}

#[derive(Default)]
struct Memory {
    quiet_since: Option<Timestamp>,
    /// Hours before this one were judged and are settled.
    not_before: i64,
    /// Its burstiness, and the hour in which it was worked out.
    bursty: Option<(i64, f64)>,
}

/// `channel_quiet`, by channel that we pull from or that pushes. Facts: `expected` and `seen` records since `since`, `hours` (of that stretch),
/// `last_hour` (the hour of the last arrival in China time, `-` for none). Severity: warning; critical after `longest_h`. It ends when what comes
/// is as it should be again.
pub(super) struct ChannelQuiet {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    channels: Vec<ChannelId>,
    config: ChannelQuietConfig,
    looked_at: Option<Timestamp>,
    pruned_at: Option<Timestamp>,
    memory: BTreeMap<ChannelId, Memory>,
}

fn hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(HOUR_S)
}

fn start_of(hour: i64) -> Timestamp {
    Timestamp::from_second(hour.saturating_mul(HOUR_S)).unwrap_or(Timestamp::MIN)
}

/// The time between two looks, by hour.
fn watched(from: Timestamp, to: Timestamp) -> Vec<WatchedHour> {
    let mut hours = Vec::new();
    let mut from = from;
    while from < to {
        let hour = Grain::Hour.bucket(from);
        let end = hour.end.min(to);
        let watched_ms = u64::try_from(end.duration_since(from).as_millis()).unwrap_or(0);
        hours.push(WatchedHour { hour_at: hour.start, watched_ms });
        if end <= from {
            break;
        }
        from = end;
    }
    hours
}

impl ChannelQuiet {
    pub(super) fn new(deps: &CheckDeps, config: ChannelQuietConfig) -> Self {
        let sending = deps.channels.iter().filter(|channel| channel.sends());
        Self {
            store: deps.store.clone(),
            bus: deps.bus.clone(),
            channels: sending.map(|channel| channel.id.clone()).collect(),
            config,
            looked_at: None,
            pruned_at: None,
            memory: BTreeMap::new(),
        }
    }

    /// Remembers that somebody was watching since the last look.
    async fn watch(&mut self, now: Timestamp) -> Result<(), CheckError> {
        let gap = Duration::from_secs(self.config.gap_s);
        if let Some(before) = self.looked_at.filter(|before| elapsed(*before, now) <= gap) {
            self.store.add_watched(&watched(before, now)).await?;
        }
        self.looked_at = Some(now);
        if self.pruned_at.is_none_or(|at| elapsed(at, now) >= PRUNE_EVERY) {
            self.store.prune_arrivals(&self.channels, ago(now, KEPT)).await?;
            self.pruned_at = Some(now);
        }
        Ok(())
    }

    async fn hours(
        &self,
        channel: &ChannelId,
        watched: &[WatchedHour],
        positions: &[FlowPosition],
        now: Timestamp,
    ) -> Result<Hours, CheckError> {
        let share = |hour: &WatchedHour| hour.watched_ms as f64 / (HOUR_S * 1_000) as f64;
        let mut hours: BTreeMap<i64, Hour> =
            watched.iter().map(|hour| (hour_of(hour.hour_at), Hour { records: 0, watched: share(hour) })).collect();
        for arrival in self.store.arrival_hours(channel, ago(now, KEPT)).await? {
            // What came in an hour in which nobody watched counts, and makes no habit.
            let hour = hours.entry(hour_of(arrival.hour_at)).or_insert(Hour { records: 0, watched: 0.0 });
            hour.records = arrival.records;
        }
        // What stands on the bus has come too.
        let waiting = unaccounted(&*self.bus, &TopicName::raw(channel), positions).await?;
        let waiting: u64 = waiting.iter().map(|(_, next, end)| end.saturating_sub(*next)).sum();
        hours.entry(hour_of(now)).or_insert(Hour { records: 0, watched: 0.0 }).records += waiting;
        Ok(Hours(hours))
    }

    /// What the habit says, or where there is none, the configured silence.
    fn judge(&self, hours: &Hours, memory: &mut Memory, now: Timestamp) -> Option<Silence> {
        let hour = hour_of(now);
        if hours.habit(hour, 2).is_some() {
            let known = memory.bursty.filter(|(at, _)| *at == hour);
            let (_, bursty) = *memory.bursty.insert(known.unwrap_or_else(|| (hour, hours.burstiness(hour))));
            return hours.silence(hour, memory.not_before, bursty, self.judgement());
        }
        let longest = i64::from(self.config.without_habit_h);
        let from = hours.last_arrival()? + 1;
        if longest == 0 || from > hour {
            return None;
        }
        // All of it must have been watched.
        let watched: f64 = hours.0.range(from..=hour).map(|(_, hour)| hour.watched).sum();
        (watched >= longest as f64).then_some(Silence { from, expected: 0.0, seen: 0 })
    }

    fn judgement(&self) -> Judgement {
        let config = &self.config;
        Judgement { share: config.share, improbable: config.improbable, longest: i64::from(config.longest_h) }
    }

    fn ended(&self, hours: &Hours, since: Timestamp, now: Timestamp) -> bool {
        let hour = hour_of(now);
        if hours.habit(hour, 2).is_some() {
            hours.recovered(hour, self.judgement())
        } else {
            hours.last_arrival().is_some_and(|last| last >= hour_of(since))
        }
    }

    fn tell(&self, channel: &ChannelId, hours: &Hours, since: Timestamp, now: Timestamp) -> Finding {
        // Hours of a clock that went back are not asked for.
        let stretch = hours.0.range(hour_of(since).min(hour_of(now))..=hour_of(now));
        let usual = |hour: i64, watched: f64| hours.habit(hour, 2).map_or(0.0, |habit| habit.usual * watched);
        let (expected, seen) = stretch
            .fold((0.0, 0), |(expected, seen), (at, hour)| (expected + usual(*at, hour.watched), seen + hour.records));
        let lasted = elapsed(since, now).as_secs() / HOUR_S as u64;
        let last_hour = hours.last_arrival().map(|hour| gateway_model::format_china(start_of(hour)));
        let facts = [
            ("expected", format!("{expected:.0}")),
            ("seen", seen.to_string()),
            ("hours", lasted.to_string()),
            ("last_hour", last_hour.unwrap_or_else(|| "-".to_owned())),
        ];
        let long = lasted >= u64::from(self.config.longest_h);
        let severity = if long { Severity::Critical } else { Severity::Warning };
        finding("channel_quiet", Some(channel), "", severity, 1, since, facts)
    }
}

#[async_trait]
impl Check for ChannelQuiet {
    fn name(&self) -> &'static str {
        "channel_quiet"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        self.watch(now).await?;
        if !self.config.enabled {
            return Ok(Vec::new());
        }
        let watched = self.store.watched_hours(ago(now, KEPT)).await?;
        let positions = self.store.flow_positions().await?;
        let mut findings = Vec::new();
        for channel in self.channels.clone() {
            let hours = self.hours(&channel, &watched, &positions, now).await?;
            let mut memory = self.memory.remove(&channel).unwrap_or_default();
            match memory.quiet_since {
                Some(since) if self.ended(&hours, since, now) => {
                    memory.quiet_since = None;
                    memory.not_before = hour_of(now);
                }
                Some(_) => {}
                None => {
                    let silence = self.judge(&hours, &mut memory, now);
                    memory.quiet_since = silence.map(|silence| start_of(silence.from));
                }
            }
            findings.extend(memory.quiet_since.map(|since| self.tell(&channel, &hours, since, now)));
            self.memory.insert(channel, memory);
        }
        Ok(findings)
    }
}
