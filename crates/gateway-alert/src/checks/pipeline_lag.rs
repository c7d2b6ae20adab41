//! Records stand on the bus and are not processed.
//!
//! The age of the oldest is not read from the bus: it is the time since the look at which the end of its partition was first seen beyond it, so it
//! is never overstated, and understated by one look at most (after a start, by the time before it).

use super::latch::{Latch, Reading, elapsed};
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_bus::{Bus, BusError, TopicName};
use gateway_model::{ChannelId, Severity, Timestamp};
use gateway_store::{FlowPosition, Store};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Ends remembered of a partition; beyond, neighbours are joined, which understates the age of some.
const MARKS: usize = 128;

/// When the pipeline lags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineLagConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// The oldest record waits this long: a warning.
    pub age_s: u64,
    /// It ends below this age.
    pub leave_age_s: u64,
    /// So many records wait: a warning, whatever their age.
    pub records: u64,
    /// It ends below this number.
    pub leave_records: u64,
    /// The oldest record waits this long: critical.
    pub critical_age_s: u64,
}

impl Default for PipelineLagConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            age_s: 300,
            leave_age_s: 60,
            records: 20_000,
            leave_records: 5_000,
            critical_age_s: 3_600,
        }
    }
}

/// `pipeline_lag`, by channel. Facts: `records`, `age_s`, `backfill_records` (read again, processed when there is time; not part of the lag).
pub(super) struct PipelineLag {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    channels: Vec<ChannelId>,
    config: PipelineLagConfig,
    marks: BTreeMap<(String, u32), VecDeque<(u64, Timestamp)>>,
    latch: Latch,
}

impl PipelineLag {
    pub(super) fn new(deps: &CheckDeps, config: PipelineLagConfig) -> Self {
        Self {
            store: deps.store.clone(),
            bus: deps.bus.clone(),
            channels: deps.channel_ids(),
            config,
            marks: BTreeMap::new(),
            latch: Latch::new(),
        }
    }

    /// The first look that saw a record beyond `next`, of a partition that ends at `end` now.
    fn oldest(&mut self, topic: &TopicName, partition: u32, next: u64, end: u64, now: Timestamp) -> Option<Timestamp> {
        let marks = self.marks.entry((topic.as_str().to_owned(), partition)).or_default();
        while marks.front().is_some_and(|(seen, _)| *seen <= next) {
            marks.pop_front();
        }
        if end > next && marks.back().is_none_or(|(seen, _)| *seen < end) {
            if marks.len() >= MARKS {
                // The later time stands for both.
                marks.pop_back();
            }
            marks.push_back((end, now));
        }
        marks.front().map(|(_, at)| *at)
    }
}

#[async_trait]
impl Check for PipelineLag {
    fn name(&self) -> &'static str {
        "pipeline_lag"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let positions = self.store.flow_positions().await?;
        let mut readings = Vec::new();
        for channel in self.channels.clone() {
            let topic = TopicName::raw(&channel);
            let mut records = 0;
            let mut oldest: Option<Timestamp> = None;
            for (partition, next, end) in unaccounted(&*self.bus, &topic, &positions).await? {
                records += end.saturating_sub(next);
                let seen = self.oldest(&topic, partition, next, end, now);
                oldest = oldest.into_iter().chain(seen).min();
            }
            let Some(since) = oldest else { continue };
            let backfill = unaccounted(&*self.bus, &TopicName::raw_backfill(&channel), &positions).await?;
            let backfill: u64 = backfill.iter().map(|(_, next, end)| end.saturating_sub(*next)).sum();
            let age_s = elapsed(since, now).as_secs();
            let config = &self.config;
            let severity = if age_s >= config.critical_age_s { Severity::Critical } else { Severity::Warning };
            let facts = [
                ("records", records.to_string()),
                ("age_s", age_s.to_string()),
                ("backfill_records", backfill.to_string()),
            ];
            readings.push(Reading {
                enter: age_s >= config.age_s || records >= config.records,
                stay: age_s >= config.leave_age_s || records >= config.leave_records,
                finding: finding("pipeline_lag", Some(&channel), "", severity, records, since, facts),
            });
        }
        Ok(self.latch.step(now, readings))
    }
}

/// Each partition of a topic with the next offset that is not accounted for, and its end. Empty for a topic that does not exist.
pub(super) async fn unaccounted(
    bus: &dyn Bus,
    topic: &TopicName,
    positions: &[FlowPosition],
) -> Result<Vec<(u32, u64, u64)>, BusError> {
    let ends = match bus.end_positions(topic).await {
        Err(BusError::UnknownTopic(_)) => return Ok(Vec::new()),
        ends => ends?,
    };
    let next = |partition| {
        let of = positions.iter().find(|one| one.topic == topic.as_str() && one.partition == partition);
        of.map_or(0, |one| one.next_offset)
    };
    Ok(ends.iter().map(|end| (end.partition, next(end.partition), end.offset)).collect())
}
