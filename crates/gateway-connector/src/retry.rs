//! The one retry policy of the gateway's loops: exponential, bounded, jittered, and patient when the peer asks for it.
//!
//! It knows no number of attempts: what is owed stays owed, and a loop that gives up silently is how records are lost. Who must give up
//! (a page, a question) says so itself.

use backoff::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long to wait between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// The first wait in milliseconds; at least 1.
    pub min_ms: u64,
    /// The longest wait in milliseconds, before jitter.
    pub max_ms: u64,
    /// By how much each wait is longer than the one before; at least 1.
    pub factor: f32,
    /// Whether up to one `min_ms` is added at random, so that many waiters don't come back at once.
    pub jitter: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { min_ms: 500, max_ms: 60_000, factor: 2.0, jitter: true }
    }
}

impl RetryPolicy {
    /// What is wrong with the policy, in words; `None` when nothing is.
    #[must_use]
    pub fn mistake(&self) -> Option<&'static str> {
        if self.min_ms == 0 {
            return Some("min_ms must be at least 1");
        }
        if self.max_ms < self.min_ms {
            return Some("max_ms must not be less than min_ms");
        }
        (!self.factor.is_finite() || self.factor < 1.0).then_some("factor must be at least 1")
    }

    /// Starts waiting from the shortest.
    #[must_use]
    pub fn start(&self) -> Retry {
        Retry { policy: *self, waits: self.waits(), attempts: 0 }
    }

    fn waits(&self) -> ExponentialBackoff {
        let builder = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(self.min_ms))
            .with_max_delay(Duration::from_millis(self.max_ms))
            .with_factor(if self.factor.is_finite() { self.factor.max(1.0) } else { 1.0 })
            .without_max_times();
        if self.jitter { builder.with_jitter().build() } else { builder.build() }
    }

    /// The wait after the `attempts`-th failure in a row (1 = the first), for a schedule that lives in a table and not in a loop.
    #[must_use]
    pub fn wait_after(&self, attempts: u32, retry_after: Option<Duration>) -> Duration {
        // Past this many doublings every policy has reached its longest wait.
        let steps = attempts.clamp(1, 64);
        let wait = self.waits().nth(steps as usize - 1).unwrap_or(Duration::from_millis(self.max_ms));
        wait.max(retry_after.unwrap_or_default())
    }
}

/// The waits of one loop.
#[derive(Debug)]
pub struct Retry {
    policy: RetryPolicy,
    waits: ExponentialBackoff,
    attempts: u32,
}

impl Retry {
    /// How long to wait after a failure; never shorter than the peer asked for.
    pub fn next_wait(&mut self, retry_after: Option<Duration>) -> Duration {
        self.attempts = self.attempts.saturating_add(1);
        let wait = self.waits.next().unwrap_or(Duration::from_millis(self.policy.max_ms));
        wait.max(retry_after.unwrap_or_default())
    }

    /// Failures since the last success.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// It succeeded: the next failure waits the shortest again.
    pub fn reset(&mut self) {
        self.attempts = 0;
        self.waits = self.policy.waits();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy { min_ms: 100, max_ms: 1_000, factor: 2.0, jitter: false }
    }

    #[test]
    fn waits_grow_to_the_bound_and_start_again() {
        let mut retry = policy().start();
        let waits: Vec<_> = (0..6).map(|_| retry.next_wait(None).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(retry.attempts(), 6);
        retry.reset();
        assert_eq!(retry.next_wait(None).as_millis(), 100);
    }

    #[test]
    fn the_peers_wish_is_the_least() {
        assert_eq!(policy().start().next_wait(Some(Duration::from_secs(30))).as_secs(), 30);
        assert_eq!(policy().wait_after(3, None).as_millis(), 400);
        assert_eq!(policy().wait_after(u32::MAX, Some(Duration::from_millis(1))).as_millis(), 1_000);
    }

    #[test]
    fn jitter_only_adds() {
        let jittered = RetryPolicy { jitter: true, ..policy() };
        for attempts in 1..50 {
            assert!(jittered.wait_after(attempts, None) >= policy().wait_after(attempts, None));
        }
    }
}
