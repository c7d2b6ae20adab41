//! A peer's clock and ours differ. Signatures carry the time, so a clock that drifts refuses everything one day.

use super::latch::{Latch, Reading, elapsed};
use super::{CheckDeps, ProcessView, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// When clocks differ too much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockSkewConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// They differ by this much: a warning.
    pub warn_ms: u64,
    /// It ends below this.
    pub leave_ms: u64,
    /// They differ by this much: critical, since signatures are refused soon. Below the time window that peers allow, 300 s as a rule.
    pub critical_ms: u64,
    /// What was observed longer ago than this says nothing any more.
    pub fresh_s: u64,
}

impl Default for ClockSkewConfig {
    fn default() -> Self {
        Self { enabled: true, warn_ms: 30_000, leave_ms: 15_000, critical_ms: 240_000, fresh_s: 3_600 }
    }
}

/// `clock_skew`, by channel, from the `Date` of its answers, which is exact to a second. Facts: `offset_ms` (theirs minus ours), `offset_s` (its
/// size), `direction` (`ahead` or `behind`: their clock).
pub(super) struct ClockSkew {
    process: Arc<dyn ProcessView>,
    config: ClockSkewConfig,
    latch: Latch,
}

impl ClockSkew {
    pub(super) fn new(deps: &CheckDeps, config: ClockSkewConfig) -> Self {
        // One answer out of step (of a proxy, or after our own clock was set) is not the peer's clock.
        let latch = Latch::new().after(Duration::from_secs(60)).linger(Duration::from_secs(60));
        Self { process: deps.process.clone(), config, latch }
    }
}

#[async_trait]
impl Check for ClockSkew {
    fn name(&self) -> &'static str {
        "clock_skew"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let config = &self.config;
        let fresh = Duration::from_secs(config.fresh_s);
        let clocks = self.process.peer_clocks();
        let readings =
            clocks.iter().filter(|(_, clock)| elapsed(clock.observed_at, now) < fresh).map(|(channel, clock)| {
                let size = clock.offset_ms.unsigned_abs();
                let severity = if size >= config.critical_ms { Severity::Critical } else { Severity::Warning };
                let facts = [
                    ("offset_ms", clock.offset_ms.to_string()),
                    ("offset_s", (size / 1_000).to_string()),
                    ("direction", if clock.offset_ms > 0 { "ahead" } else { "behind" }.to_owned()),
                ];
                Reading {
                    enter: size >= config.warn_ms,
                    stay: size >= config.leave_ms,
                    finding: finding("clock_skew", Some(channel), "", severity, 1, clock.observed_at, facts),
                }
            });
        Ok(self.latch.step(now, readings))
    }
}
