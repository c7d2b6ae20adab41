//! Pacing: at most so many requests a second and at once towards one peer, over everything that we ask of it.
//!
//! A peer's limit counts reading, writing and accounts together, so one [`Pacer`] sits in the channel's HTTP client and not in each loop.
//! Requests are spread evenly (no burst): a platform that counts per second never sees more in one than its limit.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Spreads requests.
#[derive(Debug, Clone)]
pub struct Pacer {
    interval: Duration,
    next: Arc<Mutex<Option<Instant>>>,
    slots: Arc<Semaphore>,
}

/// The right to have one request under way; ends when dropped.
#[derive(Debug)]
pub struct PacePermit(#[allow(dead_code)] Option<OwnedSemaphorePermit>);

impl Pacer {
    /// `requests_per_second` at most on average (0 or less = no limit), `concurrency` at most at once (at least 1).
    #[must_use]
    pub fn new(requests_per_second: f64, concurrency: usize) -> Self {
        let interval = if requests_per_second > 0.0 {
            Duration::try_from_secs_f64(1.0 / requests_per_second).unwrap_or(Duration::ZERO)
        } else {
            Duration::ZERO
        };
        let slots = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self { interval, next: Arc::new(Mutex::new(None)), slots: Arc::new(Semaphore::new(slots)) }
    }

    /// Waits for the turn. Cancel-safe: a waiter that goes away gives its turn back only to time, never to a burst.
    pub async fn acquire(&self) -> PacePermit {
        // The semaphore is never closed.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        if !self.interval.is_zero() {
            let turn = {
                let mut next = self.next.lock().await;
                let turn = next.map_or_else(Instant::now, |next| next.max(Instant::now()));
                *next = Some(turn + self.interval);
                turn
            };
            tokio::time::sleep_until(turn).await;
        }
        PacePermit(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_are_spread_evenly() {
        let pacer = Pacer::new(10.0, 4);
        let start = Instant::now();
        for _ in 0..11 {
            drop(pacer.acquire().await);
        }
        assert_eq!(start.elapsed().as_millis(), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_slots_are_under_way() {
        let pacer = Pacer::new(0.0, 2);
        let first = pacer.acquire().await;
        let _second = pacer.acquire().await;
        assert!(tokio::time::timeout(Duration::from_secs(1), pacer.acquire()).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(Duration::from_secs(1), pacer.acquire()).await.is_ok());
    }
}
