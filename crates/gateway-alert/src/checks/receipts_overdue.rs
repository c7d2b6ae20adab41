//! Destinations owe us a receipt for longer than allowed.

use super::delivery_stuck::together;
use super::latch::{Latch, Reading, ago, elapsed};
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{ChannelId, DeliveryState, Severity, Timestamp};
use gateway_store::Store;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// When receipts are overdue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReceiptsOverdueConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// A receipt is owed for this long: a warning.
    pub after_s: u64,
    /// It ends when none is owed for this long.
    pub leave_s: u64,
}

impl Default for ReceiptsOverdueConfig {
    fn default() -> Self {
        Self { enabled: true, after_s: 7_200, leave_s: 3_600 }
    }
}

/// `receipts_overdue`, by destination: taken but not confirmed, or without an answer. Facts: `deliveries` (older than allowed), `waiting` (all),
/// `oldest_s`.
pub(super) struct ReceiptsOverdue {
    store: Arc<dyn Store>,
    destinations: Vec<ChannelId>,
    config: ReceiptsOverdueConfig,
    latch: Latch,
}

impl ReceiptsOverdue {
    pub(super) fn new(deps: &CheckDeps, config: ReceiptsOverdueConfig) -> Self {
        Self { store: deps.store.clone(), destinations: deps.sinks(), config, latch: Latch::new() }
    }
}

#[async_trait]
impl Check for ReceiptsOverdue {
    fn name(&self) -> &'static str {
        "receipts_overdue"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let mut readings = Vec::new();
        for destination in &self.destinations {
            let before = ago(now, Duration::from_secs(self.config.after_s));
            let waiting = self.store.waiting_deliveries(destination, before).await?;
            let Some(owed) = together(&waiting, &[DeliveryState::Pending, DeliveryState::Ambiguous]) else { continue };
            let oldest_s = elapsed(owed.oldest, now).as_secs();
            let facts = [
                ("deliveries", owed.overdue.to_string()),
                ("waiting", owed.count.to_string()),
                ("oldest_s", oldest_s.to_string()),
            ];
            let (severity, count) = (Severity::Warning, owed.overdue.max(1));
            readings.push(Reading {
                enter: owed.overdue > 0,
                stay: oldest_s >= self.config.leave_s,
                finding: finding("receipts_overdue", Some(destination), "", severity, count, owed.oldest, facts),
            });
        }
        Ok(self.latch.step(now, readings))
    }
}
