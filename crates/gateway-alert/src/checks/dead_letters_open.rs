//! Records that could not be processed wait for somebody.

use super::latch::{Latch, Reading, ago, elapsed};
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{Severity, Timestamp};
use gateway_store::Store;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// When open dead letters are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeadLettersOpenConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// One is open for this long. Many settle by themselves within an hour: the order is read again, and a whole comparison in step closes them.
    pub after_s: u64,
    /// So many are open, whatever their age.
    pub many: u64,
}

impl Default for DeadLettersOpenConfig {
    fn default() -> Self {
        Self { enabled: true, after_s: 7_200, many: 20 }
    }
}

/// `dead_letters_open`, by channel. Facts: `letters`, `oldest_s`.
pub(super) struct DeadLettersOpen {
    store: Arc<dyn Store>,
    config: DeadLettersOpenConfig,
    latch: Latch,
}

impl DeadLettersOpen {
    pub(super) fn new(deps: &CheckDeps, config: DeadLettersOpenConfig) -> Self {
        Self { store: deps.store.clone(), config, latch: Latch::new() }
    }
}

#[async_trait]
impl Check for DeadLettersOpen {
    fn name(&self) -> &'static str {
        "dead_letters_open"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let config = &self.config;
        let waiting = self.store.waiting_dead_letters(ago(now, Duration::from_secs(config.after_s))).await?;
        let readings = waiting.into_iter().map(|open| {
            let oldest_s = elapsed(open.oldest, now).as_secs();
            let facts = [("letters", open.count.to_string()), ("oldest_s", oldest_s.to_string())];
            let (channel, count) = (Some(&open.kind), open.count);
            Reading {
                enter: open.overdue > 0 || open.count >= config.many,
                // From then on until all are settled.
                stay: true,
                finding: finding("dead_letters_open", channel, "", Severity::Warning, count, open.oldest, facts),
            }
        });
        Ok(self.latch.step(now, readings))
    }
}
