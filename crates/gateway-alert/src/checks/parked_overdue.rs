//! Updates wait long for an order that does not come.

use super::latch::{Latch, Reading, ago, elapsed};
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{Severity, Timestamp};
use gateway_store::Store;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// When a parked record waits too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParkedOverdueConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// One waits this long: a warning. Below `pipeline.park_patience_s`, at which it becomes a dead letter.
    pub after_s: u64,
}

impl Default for ParkedOverdueConfig {
    fn default() -> Self {
        Self { enabled: true, after_s: 1_800 }
    }
}

/// `parked_overdue`, by channel. Facts: `records`, `age_s`.
pub(super) struct ParkedOverdue {
    store: Arc<dyn Store>,
    after: Duration,
    latch: Latch,
}

impl ParkedOverdue {
    pub(super) fn new(deps: &CheckDeps, config: &ParkedOverdueConfig) -> Self {
        Self { store: deps.store.clone(), after: Duration::from_secs(config.after_s), latch: Latch::new() }
    }
}

#[async_trait]
impl Check for ParkedOverdue {
    fn name(&self) -> &'static str {
        "parked_overdue"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let waiting = self.store.waiting_parked(ago(now, self.after)).await?;
        let readings = waiting.into_iter().map(|one| {
            let age_s = elapsed(one.oldest, now).as_secs();
            let facts = [("records", one.overdue.to_string()), ("age_s", age_s.to_string())];
            let (channel, count) = (Some(&one.kind), one.overdue);
            // A record that waits so long ends only by its order or by becoming a dead letter: nothing to flap.
            Reading::plain(finding("parked_overdue", channel, "", Severity::Warning, count, one.oldest, facts))
        });
        Ok(self.latch.step(now, readings))
    }
}
