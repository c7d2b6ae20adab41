//! Every push of a channel is refused. When that begins and ends is judged where pushes are taken, push by push.

use super::{CheckDeps, ProcessView, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whether it is told. Its times are settings of intake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksAllRefusedConfig {
    /// Whether it is looked at.
    pub enabled: bool,
}

impl Default for WebhooksAllRefusedConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `webhooks_all_refused`, by channel. Facts: `refused`, `codes` (as `bad_signature 12, clock_skew 3`), `clock_offset_ms` (theirs minus ours, or `-`).
pub(super) struct WebhooksAllRefused {
    process: Arc<dyn ProcessView>,
}

impl WebhooksAllRefused {
    pub(super) fn new(deps: &CheckDeps) -> Self {
        Self { process: deps.process.clone() }
    }
}

#[async_trait]
impl Check for WebhooksAllRefused {
    fn name(&self) -> &'static str {
        "webhooks_all_refused"
    }

    async fn look(&mut self, _now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let refusals = self.process.refusals().into_iter().map(|refusal| {
            let codes: Vec<String> = refusal.codes.iter().map(|(code, count)| format!("{code} {count}")).collect();
            let facts = [
                ("refused", refusal.refused.to_string()),
                ("codes", codes.join(", ")),
                ("clock_offset_ms", refusal.clock_offset_ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string())),
            ];
            let (channel, count, since) = (Some(&refusal.channel), refusal.refused, refusal.since);
            finding("webhooks_all_refused", channel, "", Severity::Critical, count, since, facts)
        });
        Ok(refusals.collect())
    }
}
