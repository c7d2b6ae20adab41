//! A destination failed so often that nothing is sent to it.

use super::latch::{Latch, Reading, elapsed};
use super::{CheckDeps, ProcessView, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_connector::BreakerState;
use gateway_model::{ChannelId, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// When an open breaker is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerOpenConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// Open (or trying once, and failing) for this long.
    pub after_s: u64,
    /// It ends when the breaker was closed for this long.
    pub leave_s: u64,
}

impl Default for BreakerOpenConfig {
    fn default() -> Self {
        Self { enabled: true, after_s: 60, leave_s: 60 }
    }
}

/// `breaker_open`, by destination. Facts: `open_s`.
pub(super) struct BreakerOpen {
    process: Arc<dyn ProcessView>,
    open: BTreeMap<ChannelId, Timestamp>,
    latch: Latch,
}

impl BreakerOpen {
    pub(super) fn new(deps: &CheckDeps, config: &BreakerOpenConfig) -> Self {
        let latch = Latch::new().after(Duration::from_secs(config.after_s)).linger(Duration::from_secs(config.leave_s));
        Self { process: deps.process.clone(), open: BTreeMap::new(), latch }
    }
}

#[async_trait]
impl Check for BreakerOpen {
    fn name(&self) -> &'static str {
        "breaker_open"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let mut readings = Vec::new();
        for (destination, state) in self.process.breakers() {
            if matches!(state, BreakerState::Closed { .. }) {
                self.open.remove(&destination);
                continue;
            }
            let since = *self.open.entry(destination.clone()).or_insert(now);
            let facts = [("open_s", elapsed(since, now).as_secs().to_string())];
            let finding = finding("breaker_open", Some(&destination), "", Severity::Warning, 1, since, facts);
            readings.push(Reading::plain(finding));
        }
        Ok(self.latch.step(now, readings))
    }
}
