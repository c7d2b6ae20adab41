//! What people see of a task.

use serde::Serialize;
use std::time::{Duration, Instant};

/// Whether a task does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskHealth {
    /// The last round succeeded, lately enough.
    Healthy,
    /// The last round failed; trying again.
    Failing,
    /// No round has succeeded for longer than the schedule allows, whatever the reason.
    Stalled,
    /// It ended: the gateway is stopping, or the task panicked.
    Ended,
}

/// A task as it is now.
#[derive(Debug, Clone, Serialize)]
pub struct TaskStatus {
    /// Its name.
    pub name: String,
    /// Its health.
    pub health: TaskHealth,
    /// Rounds that succeeded since the start.
    pub rounds: u64,
    /// Rounds that failed since the last success.
    pub failures: u64,
    /// Milliseconds since the last success; since the start when there was none.
    pub since_success_ms: u64,
    /// How long the present round has been running, in ms; `None` between rounds.
    pub running_ms: Option<u64>,
    /// The code of the last failure, while failing.
    pub error_code: Option<String>,
    /// A sentence on it.
    pub error: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) rounds: u64,
    pub(crate) failures: u64,
    pub(crate) last_success: Instant,
    pub(crate) running_since: Option<Instant>,
    pub(crate) error: Option<(String, String)>,
    pub(crate) ended: bool,
    pub(crate) stalled_after: Duration,
}

impl Record {
    pub(crate) fn status(&self, name: &str) -> TaskStatus {
        let since = self.last_success.elapsed();
        let health = if self.ended {
            TaskHealth::Ended
        } else if since > self.stalled_after {
            TaskHealth::Stalled
        } else if self.failures > 0 {
            TaskHealth::Failing
        } else {
            TaskHealth::Healthy
        };
        TaskStatus {
            name: name.to_owned(),
            health,
            rounds: self.rounds,
            failures: self.failures,
            since_success_ms: millis(since),
            running_ms: self.running_since.map(|since| millis(since.elapsed())),
            error_code: self.error.as_ref().map(|(code, _)| code.clone()),
            error: self.error.as_ref().map(|(_, text)| text.clone()),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
