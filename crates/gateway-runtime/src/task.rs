//! What a piece of background work is.

use async_trait::async_trait;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One piece of background work, repeated by the driver.
#[async_trait]
pub trait Task: Send + 'static {
    /// The name in status, logs and metrics, as `poll/municipal-12345`.
    fn name(&self) -> String;

    /// Does one round. A round is bounded; long waits inside watch [`Round::stopping`]. Whatever it returns, an effect that was made durable stays.
    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError>;
}

/// What tasks are started on: the driver where time passes by itself, the stepper where somebody drives it.
pub trait TaskHost {
    /// Starts a task; its first round is due at once.
    fn spawn(&self, task: impl Task, schedule: Schedule) -> crate::TaskHandle;
}

/// What a round is told.
#[derive(Debug, Clone)]
pub struct Round {
    /// Cancelled when the gateway stops; a round then ends at the next safe point.
    pub stopping: CancellationToken,
}

/// How a round ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// Nothing more to do: the next round is due after the schedule's interval, or when woken.
    Idle,
    /// There is more to do at once.
    Busy,
    /// The next round is due after this time, or when woken.
    After(Duration),
}

/// A round that failed. The driver waits and tries again for as long as the gateway runs.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {text}")]
pub struct TaskError {
    /// A stable code for counting.
    pub code: String,
    /// A sentence for people, without secrets or personal data.
    pub text: String,
    /// Wait at least this long, where the other side said so.
    pub retry_after: Option<Duration>,
}

impl TaskError {
    /// An error with a code and the whole chain of causes.
    pub fn new(code: impl Into<String>, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self { code: code.into(), text, retry_after: None }
    }

    /// With a least waiting time.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}

/// When rounds are due.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Between the end of an idle round and the start of the next.
    pub every: Duration,
    /// The first wait after a failure; doubled with each further failure.
    pub backoff_min: Duration,
    /// The longest wait after a failure.
    pub backoff_max: Duration,
    /// A task without a successful round for this long is stalled.
    pub stalled_after: Duration,
}

impl Schedule {
    /// A schedule with back-off from 200 ms to 30 s, stalled after ten intervals but not before a minute.
    #[must_use]
    pub fn every(every: Duration) -> Self {
        Self {
            every,
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
            stalled_after: (every * 10).max(Duration::from_secs(60)),
        }
    }

    /// With another longest wait after a failure.
    #[must_use]
    pub fn backoff_max(mut self, wait: Duration) -> Self {
        self.backoff_max = wait;
        self
    }
}
