//! Complaints wait long for the operating-data service.

use super::latch::{Latch, Reading, ago, elapsed};
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{Severity, Timestamp};
use gateway_store::Store;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// When a verification is overdue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerificationOverdueConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// One waits this long: a warning.
    pub after_s: u64,
}

impl Default for VerificationOverdueConfig {
    fn default() -> Self {
        Self { enabled: true, after_s: 900 }
    }
}

/// `verification_overdue`, by channel: the operating-data service has not answered about orders that it is asked for. The orders are there and go on.
/// Facts: `orders` (overdue), `waiting` (all), `oldest_s`.
pub(super) struct VerificationOverdue {
    store: Arc<dyn Store>,
    after: Duration,
    latch: Latch,
}

impl VerificationOverdue {
    pub(super) fn new(deps: &CheckDeps, config: &VerificationOverdueConfig) -> Self {
        Self { store: deps.store.clone(), after: Duration::from_secs(config.after_s), latch: Latch::new() }
    }
}

#[async_trait]
impl Check for VerificationOverdue {
    fn name(&self) -> &'static str {
        "verification_overdue"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let waiting = self.store.waiting_lookups(ago(now, self.after)).await?;
        let readings = waiting.into_iter().map(|one| {
            let oldest_s = elapsed(one.oldest, now).as_secs();
            let facts = [
                ("orders", one.overdue.to_string()),
                ("waiting", one.count.to_string()),
                ("oldest_s", oldest_s.to_string()),
            ];
            let (channel, count) = (Some(&one.kind), one.overdue.max(1));
            Reading {
                enter: one.overdue > 0,
                // While the service is asked for what it missed it stays, until nothing is left that is old.
                stay: one.overdue > 0,
                finding: finding("verification_overdue", channel, "", Severity::Warning, count, one.oldest, facts),
            }
        });
        Ok(self.latch.step(now, readings))
    }
}
