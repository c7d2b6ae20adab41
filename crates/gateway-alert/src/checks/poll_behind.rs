//! A poller reads without failing, and does not get to the end of its channel's listing.

use super::latch::{Latch, Reading, elapsed};
use super::{CheckDeps, ProcessView, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{ChannelId, Severity, Timestamp, format_china};
use gateway_runtime::TaskHealth;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// When polling is behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PollBehindConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// The end of the listing was not reached for this long. A first reading of years of history takes long and is told too.
    pub after_s: u64,
}

impl Default for PollBehindConfig {
    fn default() -> Self {
        Self { enabled: true, after_s: 900 }
    }
}

/// `poll_behind`, by channel. Facts: `behind_s` (since the listing was last read to its end), `last_sweep` and `through` (the newest update time
/// believed), both in China time or `-`. A poller that fails is `task_stalled` instead.
pub(super) struct PollBehind {
    process: Arc<dyn ProcessView>,
    after: Duration,
    /// Since when each channel is read here without having come to the end.
    first_seen: BTreeMap<ChannelId, Timestamp>,
    latch: Latch,
}

impl PollBehind {
    pub(super) fn new(deps: &CheckDeps, config: &PollBehindConfig) -> Self {
        let after = Duration::from_secs(config.after_s);
        Self { process: deps.process.clone(), after, first_seen: BTreeMap::new(), latch: Latch::new() }
    }
}

#[async_trait]
impl Check for PollBehind {
    fn name(&self) -> &'static str {
        "poll_behind"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let tasks = self.process.tasks();
        let polls = self.process.polls();
        self.first_seen.retain(|channel, _| polls.iter().any(|poll| poll.channel == *channel));
        let mut readings = Vec::new();
        for poll in polls {
            let first_seen = *self.first_seen.entry(poll.channel.clone()).or_insert(now);
            let name = format!("poll/{}", poll.channel);
            // In the end it is one trouble: the one that has a cause is told.
            if tasks.iter().any(|task| task.name == name && task.health != TaskHealth::Healthy) {
                continue;
            }
            let since = poll.swept_at.unwrap_or(first_seen);
            let behind = elapsed(since, now);
            let shown = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), format_china);
            let facts = [
                ("behind_s", behind.as_secs().to_string()),
                ("last_sweep", shown(poll.swept_at)),
                ("through", shown(poll.through)),
            ];
            let finding = finding("poll_behind", Some(&poll.channel), "", Severity::Warning, 1, since, facts);
            // A sweep that reaches the end brings it back to nothing: no second threshold is needed.
            readings.push(Reading { enter: behind >= self.after, stay: behind >= self.after, finding });
        }
        Ok(self.latch.step(now, readings))
    }
}
