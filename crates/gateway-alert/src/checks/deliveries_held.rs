//! Deliveries whose outcome can't be found out wait for a person.

use super::delivery_stuck::together;
use super::latch::{Latch, Reading, elapsed};
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{ChannelId, DeliveryState, Severity, Timestamp};
use gateway_store::Store;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whether held deliveries are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveriesHeldConfig {
    /// Whether it is looked at.
    pub enabled: bool,
}

impl Default for DeliveriesHeldConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `deliveries_held`, by destination, from the first one on. Facts: `deliveries`, `oldest_s`.
pub(super) struct DeliveriesHeld {
    store: Arc<dyn Store>,
    destinations: Vec<ChannelId>,
    latch: Latch,
}

impl DeliveriesHeld {
    pub(super) fn new(deps: &CheckDeps) -> Self {
        Self { store: deps.store.clone(), destinations: deps.sinks(), latch: Latch::new() }
    }
}

#[async_trait]
impl Check for DeliveriesHeld {
    fn name(&self) -> &'static str {
        "deliveries_held"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let mut readings = Vec::new();
        for destination in &self.destinations {
            let waiting = self.store.waiting_deliveries(destination, now).await?;
            let Some(held) = together(&waiting, &[DeliveryState::Held]) else { continue };
            let facts =
                [("deliveries", held.count.to_string()), ("oldest_s", elapsed(held.oldest, now).as_secs().to_string())];
            let (severity, count) = (Severity::Warning, held.count);
            // A held one ends only by a person or a proof: nothing to flap.
            readings.push(Reading::plain(finding(
                "deliveries_held",
                Some(destination),
                "",
                severity,
                count,
                held.oldest,
                facts,
            )));
        }
        Ok(self.latch.step(now, readings))
    }
}
