//! A channel that could be compared is not: nobody knows whether both sides hold the same.

use super::latch::elapsed;
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{ChannelId, Severity, Timestamp, format_china};
use gateway_store::Store;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Less than this is not overdue, however short the period is.
const LEAST: Duration = Duration::from_secs(3_600);

/// When a comparison is overdue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ComparisonOverdueConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// After how many periods of whole comparison (and an hour at least) without one that ended.
    pub periods: u32,
}

impl Default for ComparisonOverdueConfig {
    fn default() -> Self {
        Self { enabled: true, periods: 2 }
    }
}

/// `comparison_overdue`, by channel that offers a manifest. Facts: `last` (its end in China time, `-` for never), `overdue_s` (since then, or since
/// the gateway first looked), `period_s`. It ends with the next whole comparison.
pub(super) struct ComparisonOverdue {
    store: Arc<dyn Store>,
    channels: Vec<ChannelId>,
    period: Option<Duration>,
    periods: u32,
    first_look: Option<Timestamp>,
}

impl ComparisonOverdue {
    pub(super) fn new(deps: &CheckDeps, config: &ComparisonOverdueConfig) -> Self {
        let channels = deps.channels.iter().filter(|channel| channel.verifiable).map(|channel| channel.id.clone());
        Self {
            store: deps.store.clone(),
            channels: channels.collect(),
            period: deps.whole_comparison_every,
            periods: config.periods,
            first_look: None,
        }
    }
}

#[async_trait]
impl Check for ComparisonOverdue {
    fn name(&self) -> &'static str {
        "comparison_overdue"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let first_look = *self.first_look.get_or_insert(now);
        // Where comparing is switched off, nothing is due.
        let Some(period) = self.period else { return Ok(Vec::new()) };
        let allowed = (period * self.periods.max(1)).max(LEAST);
        let mut findings = Vec::new();
        for channel in &self.channels {
            let last = self
                .store
                .last_comparison(channel, gateway_store::ComparisonKind::Whole)
                .await?
                .map(|comparison| comparison.ended_at);
            let since = last.unwrap_or(first_look);
            let overdue = elapsed(since, now);
            // A gateway that was off for days is given time to compare before it is told.
            if overdue < allowed || elapsed(first_look, now) < allowed.min(LEAST) {
                continue;
            }
            let facts = [
                ("last", last.map_or_else(|| "-".to_owned(), format_china)),
                ("overdue_s", overdue.as_secs().to_string()),
                ("period_s", period.as_secs().to_string()),
            ];
            findings.push(finding("comparison_overdue", Some(channel), "", Severity::Warning, 1, since, facts));
        }
        Ok(findings)
    }
}
