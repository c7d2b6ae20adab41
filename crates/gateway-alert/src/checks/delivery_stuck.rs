//! Deliveries wait to be sent for longer than allowed.

use super::latch::{Latch, Reading, ago, elapsed};
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{ChannelId, DeliveryState, Severity, Timestamp};
use gateway_store::{Store, Waiting, WaitingDeliveries};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// When deliveries are stuck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryStuckConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// One waits to be sent for this long: a warning.
    pub after_s: u64,
    /// It ends when none waits for this long.
    pub leave_s: u64,
    /// One waits for this long: critical. A reply that comes late is counted against the bureau.
    pub critical_s: u64,
}

impl Default for DeliveryStuckConfig {
    fn default() -> Self {
        Self { enabled: true, after_s: 1_800, leave_s: 900, critical_s: 14_400 }
    }
}

/// `delivery_stuck`, by destination: owed or being sent. Facts: `deliveries` (older than allowed), `waiting` (all), `oldest_s`.
pub(super) struct DeliveryStuck {
    store: Arc<dyn Store>,
    destinations: Vec<ChannelId>,
    config: DeliveryStuckConfig,
    latch: Latch,
}

impl DeliveryStuck {
    pub(super) fn new(deps: &CheckDeps, config: DeliveryStuckConfig) -> Self {
        Self { store: deps.store.clone(), destinations: deps.sinks(), config, latch: Latch::new() }
    }
}

/// The deliveries in some states, as one.
pub(super) fn together(waiting: &[WaitingDeliveries], states: &[DeliveryState]) -> Option<Waiting<()>> {
    let of = || waiting.iter().filter(|one| states.contains(&one.kind));
    let oldest = of().map(|one| one.oldest).min()?;
    let count = of().map(|one| one.count).sum();
    Some(Waiting { kind: (), count, overdue: of().map(|one| one.overdue).sum(), oldest })
}

#[async_trait]
impl Check for DeliveryStuck {
    fn name(&self) -> &'static str {
        "delivery_stuck"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let config = &self.config;
        let mut readings = Vec::new();
        for destination in &self.destinations {
            let waiting =
                self.store.waiting_deliveries(destination, ago(now, Duration::from_secs(config.after_s))).await?;
            let Some(stuck) = together(&waiting, &[DeliveryState::Owed, DeliveryState::Sending]) else { continue };
            let oldest_s = elapsed(stuck.oldest, now).as_secs();
            let severity = if oldest_s >= config.critical_s { Severity::Critical } else { Severity::Warning };
            let facts = [
                ("deliveries", stuck.overdue.to_string()),
                ("waiting", stuck.count.to_string()),
                ("oldest_s", oldest_s.to_string()),
            ];
            let count = stuck.overdue.max(1);
            readings.push(Reading {
                enter: stuck.overdue > 0,
                stay: oldest_s >= config.leave_s,
                finding: finding("delivery_stuck", Some(destination), "", severity, count, stuck.oldest, facts),
            });
        }
        Ok(self.latch.step(now, readings))
    }
}
