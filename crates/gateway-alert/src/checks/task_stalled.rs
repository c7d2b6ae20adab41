//! A task of this process does not do its work.

use super::{CheckDeps, ProcessView, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{ChannelId, Severity, Timestamp};
use gateway_runtime::TaskHealth;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The longest error that is told, in characters.
const ERROR_CHARS: usize = 200;

/// Whether it is told. Its times follow from each task's own schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskStalledConfig {
    /// Whether it is looked at.
    pub enabled: bool,
}

impl Default for TaskStalledConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `task_stalled`, subject = the task's name: no round succeeded for longer than its schedule allows (ten intervals, a minute at least), or it ended
/// (critical). It ends with the first successful round. Facts: `task`, `for_s`, `error_code` and `error` (`-` where none was told).
pub(super) struct TaskStalled {
    process: Arc<dyn ProcessView>,
    channels: Vec<ChannelId>,
}

impl TaskStalled {
    pub(super) fn new(deps: &CheckDeps) -> Self {
        Self { process: deps.process.clone(), channels: deps.channel_ids() }
    }
}

#[async_trait]
impl Check for TaskStalled {
    fn name(&self) -> &'static str {
        "task_stalled"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let tasks = self.process.tasks().into_iter();
        let stalled = tasks.filter(|task| matches!(task.health, TaskHealth::Stalled | TaskHealth::Ended));
        let findings = stalled.map(|task| {
            let channel =
                task.name.split_once('/').and_then(|(_, id)| self.channels.iter().find(|one| one.as_str() == id));
            let severity = if task.health == TaskHealth::Ended { Severity::Critical } else { Severity::Warning };
            let lasted = Duration::from_millis(task.since_success_ms);
            let error: String = task.error.unwrap_or_else(|| "-".to_owned()).chars().take(ERROR_CHARS).collect();
            let facts = [
                ("task", task.name.clone()),
                ("for_s", lasted.as_secs().to_string()),
                ("error_code", task.error_code.unwrap_or_else(|| "-".to_owned())),
                ("error", error),
            ];
            let since = super::latch::ago(now, lasted);
            finding("task_stalled", channel, &task.name, severity, 1, since, facts)
        });
        Ok(findings.collect())
    }
}
