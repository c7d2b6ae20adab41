//! A destination refuses more of what we send than it usually does.

use super::latch::{Latch, Reading, ago};
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{ChannelId, DeliveryState, Severity, Timestamp};
use gateway_store::Store;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// When too much is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveriesRejectedConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// How far back is counted. Counting begins anew with every start.
    pub window_s: u64,
    /// Fewer refusals than this in the window are nothing.
    pub least: u64,
    /// Refused of all that ended in the window, 0 to 1: a warning.
    pub share: f64,
    /// It ends below this share.
    pub leave_share: f64,
}

impl Default for DeliveriesRejectedConfig {
    fn default() -> Self {
        Self { enabled: true, window_s: 3_600, least: 5, share: 0.2, leave_share: 0.1 }
    }
}

/// What had ended at some look.
#[derive(Clone, Copy, Default)]
struct Ended {
    rejected: u64,
    acknowledged: u64,
}

/// `deliveries_rejected`, by destination. Facts: `rejected` and `ended` in the window, `percent`, `window_s`.
pub(super) struct DeliveriesRejected {
    store: Arc<dyn Store>,
    config: DeliveriesRejectedConfig,
    /// By destination, ascending by time; the first is at or before the start of the window.
    seen: BTreeMap<ChannelId, VecDeque<(Timestamp, Ended)>>,
    latch: Latch,
}

impl DeliveriesRejected {
    pub(super) fn new(deps: &CheckDeps, config: DeliveriesRejectedConfig) -> Self {
        Self { store: deps.store.clone(), config, seen: BTreeMap::new(), latch: Latch::new() }
    }
}

/// Looks remembered of a window.
const LOOKS: i64 = 60;

#[async_trait]
impl Check for DeliveriesRejected {
    fn name(&self) -> &'static str {
        "deliveries_rejected"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let mut totals: BTreeMap<ChannelId, Ended> = BTreeMap::new();
        for tally in self.store.outbound_tallies().await? {
            let total = totals.entry(tally.destination).or_default();
            match tally.state {
                DeliveryState::Rejected => total.rejected += tally.deliveries,
                DeliveryState::Acknowledged => total.acknowledged += tally.deliveries,
                _ => {}
            }
        }
        let config = &self.config;
        let window = Duration::from_secs(config.window_s);
        let mut readings = Vec::new();
        for (destination, total) in totals {
            let seen = self.seen.entry(destination.clone()).or_default();
            while seen.get(1).is_some_and(|(at, _)| *at <= ago(now, window)) {
                seen.pop_front();
            }
            // What was there at the first look was refused before it.
            let (since, before) = seen.front().copied().unwrap_or((now, total));
            let apart = i64::try_from(config.window_s).unwrap_or(i64::MAX) / LOOKS;
            if seen.back().is_none_or(|(at, _)| now.as_second() - at.as_second() >= apart) {
                seen.push_back((now, total));
            }
            // A redelivery takes one out of the refused; it is not refused less than never.
            let rejected = total.rejected.saturating_sub(before.rejected);
            let ended = rejected + total.acknowledged.saturating_sub(before.acknowledged);
            let share = rejected as f64 / ended.max(1) as f64;
            let facts = [
                ("rejected", rejected.to_string()),
                ("ended", ended.to_string()),
                ("percent", format!("{:.0}", share * 100.0)),
                ("window_s", config.window_s.to_string()),
            ];
            let finding =
                finding("deliveries_rejected", Some(&destination), "", Severity::Warning, rejected, since, facts);
            let enough = rejected >= config.least;
            readings.push(Reading {
                enter: enough && share >= config.share,
                // Nothing sent for a whole window says nothing of whether it would be refused; it ends all the same.
                stay: rejected > 0 && share >= config.leave_share,
                finding,
            });
        }
        Ok(self.latch.step(now, readings))
    }
}
