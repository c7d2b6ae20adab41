//! The settings of delivery.

use gateway_connector::{BreakerPolicy, RetryPolicy};
use gateway_runtime::Schedule;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How one destination is delivered to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryConfig {
    /// The longest sleep between two looks at what is due, in milliseconds.
    pub every_ms: u64,
    /// How long the reader of wakes waits for one, in milliseconds; a wake that comes meanwhile is passed on at once.
    pub wake_wait_ms: u64,
    /// Deliveries taken up in one round.
    pub batch: u32,
    /// Attempts and questions under way at once; each of another order.
    pub concurrency: usize,
    /// How long the destination's lease outlasts its last renewal, in milliseconds. It is renewed at a third of it while attempts are under way.
    pub lease_ms: u64,
    /// How long an attempt that certainly was not taken waits for the next.
    pub retry: RetryPolicy,
    /// When the destination is left alone.
    pub breaker: BreakerPolicy,
    /// After an attempt without an answer: how long it may still take effect, in milliseconds. "Unknown" is believed only after it. Longer than the
    /// destination's slowest request.
    pub settle_after_ms: u64,
    /// The shortest wait between two questions about one attempt, in milliseconds.
    pub ask_min_ms: u64,
    /// The longest, in milliseconds; in between, questions are as far apart as the attempt is old.
    pub ask_max_ms: u64,
    /// The destination says that it has another answer already and knows nothing of ours: how long its record is searched for ours before it is
    /// believed, in milliseconds.
    pub already_submitted_after_ms: u64,
    /// An attempt whose outcome can't be found out for this long is held for a person, in milliseconds.
    pub hold_after_ms: u64,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            every_ms: 1_000,
            wake_wait_ms: 1_000,
            batch: 200,
            concurrency: 8,
            lease_ms: 8_000,
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            settle_after_ms: 15_000,
            ask_min_ms: 1_000,
            ask_max_ms: 60_000,
            already_submitted_after_ms: 30_000,
            hold_after_ms: 3_600_000,
        }
    }
}

impl DeliveryConfig {
    /// When rounds are due.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::every(Duration::from_millis(self.every_ms))
    }

    pub(crate) fn every(&self) -> Duration {
        Duration::from_millis(self.every_ms)
    }
}
