//! The circuit breaker: after several failures in a row a peer is left alone for a while, then tried once.
//!
//! It keeps us from piling requests on a platform that is down, and its state is what `status` shows: open means that nothing was sent, not that
//! nothing was owed. Only failures of the peer count (unreachable, 5xx, time-out, damaged answers); a business refusal is an answer.

use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// When to open and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerPolicy {
    /// Failures in a row that open it; at least 1.
    pub failures: u32,
    /// How long it stays open, in milliseconds.
    pub open_ms: u64,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures: 5, open_ms: 10_000 }
    }
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum BreakerState {
    /// Everything.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// Nothing.
    Open {
        /// For how much longer, in milliseconds.
        for_ms: u64,
    },
    /// One trial is due or under way.
    HalfOpen,
}

/// The peer is being left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the circuit breaker is open for another {for_ms} ms")]
pub struct BreakerOpen {
    /// For how much longer, in milliseconds; 0 while the one trial is under way.
    pub for_ms: u64,
}

#[derive(Debug)]
struct Inner {
    failures: u32,
    open_until: Option<Instant>,
    trial: bool,
}

/// A circuit breaker of one peer.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    inner: Mutex<Inner>,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, inner: Mutex::new(Inner { failures: 0, open_until: None, trial: false }) }
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Asks to send one request; its end must be told by dropping the permit or by [`BreakerPermit::success`] or [`BreakerPermit::failure`].
    ///
    /// # Errors
    /// [`BreakerOpen`] while nothing may be sent.
    pub fn enter(&self) -> Result<BreakerPermit<'_>, BreakerOpen> {
        let mut inner = self.inner();
        let Some(until) = inner.open_until else { return Ok(BreakerPermit { breaker: Some(self) }) };
        let now = Instant::now();
        if now < until {
            return Err(BreakerOpen { for_ms: millis(until - now) });
        }
        if inner.trial {
            return Err(BreakerOpen { for_ms: 0 });
        }
        inner.trial = true;
        Ok(BreakerPermit { breaker: Some(self) })
    }

    /// What it lets through now.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        let inner = self.inner();
        match inner.open_until {
            None => BreakerState::Closed { failures: inner.failures },
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() { BreakerState::HalfOpen } else { BreakerState::Open { for_ms: millis(left) } }
            }
        }
    }

    fn succeeded(&self) {
        *self.inner() = Inner { failures: 0, open_until: None, trial: false };
    }

    fn failed(&self) {
        let mut inner = self.inner();
        inner.failures = inner.failures.saturating_add(1);
        inner.trial = false;
        if inner.failures >= self.policy.failures.max(1) {
            inner.open_until = Some(Instant::now() + Duration::from_millis(self.policy.open_ms));
        }
    }

    fn abandoned(&self) {
        self.inner().trial = false;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// One request under way. Dropped without a word (the task was stopped), it says nothing about the peer.
#[derive(Debug)]
#[must_use]
pub struct BreakerPermit<'a> {
    breaker: Option<&'a Breaker>,
}

impl BreakerPermit<'_> {
    /// The peer answered.
    pub fn success(mut self) {
        if let Some(breaker) = self.breaker.take() {
            breaker.succeeded();
        }
    }

    /// The peer failed.
    pub fn failure(mut self) {
        if let Some(breaker) = self.breaker.take() {
            breaker.failed();
        }
    }
}

impl Drop for BreakerPermit<'_> {
    fn drop(&mut self) {
        if let Some(breaker) = self.breaker {
            breaker.abandoned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_and_tries_once() {
        let breaker = Breaker::new(BreakerPolicy { failures: 2, open_ms: 1_000 });
        breaker.enter().unwrap().failure();
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 1 });
        breaker.enter().unwrap().failure();
        assert_eq!(breaker.enter().unwrap_err(), BreakerOpen { for_ms: 1_000 });
        tokio::time::advance(Duration::from_millis(1_000)).await;
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let trial = breaker.enter().unwrap();
        assert!(breaker.enter().is_err(), "one trial at a time");
        trial.failure();
        assert_eq!(breaker.state(), BreakerState::Open { for_ms: 1_000 });
        tokio::time::advance(Duration::from_millis(1_000)).await;
        breaker.enter().unwrap().success();
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_trial_makes_room_for_another() {
        let breaker = Breaker::new(BreakerPolicy { failures: 1, open_ms: 10 });
        breaker.enter().unwrap().failure();
        tokio::time::advance(Duration::from_millis(10)).await;
        drop(breaker.enter().unwrap());
        assert!(breaker.enter().is_ok());
    }
}
