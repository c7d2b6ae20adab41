//! What this process holds of each channel that is not on the bus yet: nothing, while the bus is well.

use super::latch::{Latch, Reading};
use super::{CheckDeps, ProcessView, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// When a spool has held something for too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolDepthConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// Its oldest message waits for this long, in seconds: a warning. A restart of a broker takes less.
    pub warn_after_s: u64,
    /// From here on it is critical: people miss what was pushed.
    pub critical_after_s: u64,
}

impl Default for SpoolDepthConfig {
    fn default() -> Self {
        Self { enabled: true, warn_after_s: 60, critical_after_s: 1_800 }
    }
}

/// `spool_depth`, of a channel. Facts: `messages`, `waiting_s`. Count = messages.
pub(super) struct SpoolDepth {
    process: Arc<dyn ProcessView>,
    config: SpoolDepthConfig,
    latch: Latch,
}

impl SpoolDepth {
    pub(super) fn new(deps: &CheckDeps, config: SpoolDepthConfig) -> Self {
        Self { process: deps.process.clone(), config, latch: Latch::new() }
    }
}

#[async_trait]
impl Check for SpoolDepth {
    fn name(&self) -> &'static str {
        "spool_depth"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let held = self.process.spool().into_iter().filter(|held| held.messages > 0);
        let readings: Vec<Reading> = held
            .map(|held| {
                let since = held.oldest_at.unwrap_or(now);
                let waiting_s = u64::try_from(now.as_second().saturating_sub(since.as_second())).unwrap_or(0);
                let critical = waiting_s >= self.config.critical_after_s;
                let severity = if critical { Severity::Critical } else { Severity::Warning };
                let facts = [("messages", held.messages.to_string()), ("waiting_s", waiting_s.to_string())];
                Reading {
                    enter: waiting_s >= self.config.warn_after_s,
                    // Once it was worth telling, it is until nothing waits.
                    stay: true,
                    finding: finding("spool_depth", Some(&held.channel), "", severity, held.messages, now, facts),
                }
            })
            .collect();
        Ok(self.latch.step(now, readings))
    }
}
