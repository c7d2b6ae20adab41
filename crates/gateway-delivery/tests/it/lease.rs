//! Who may deliver, while attempts take longer than the lease. The clock moves only when a test says so; renewals are waited for, not guessed.

use crate::bench::{Bench, at, config, run};
use crate::sink::refused;
use crate::worker::until;
use async_trait::async_trait;
use gateway_delivery::{DeliveryConfig, DeliveryDeps, DeliveryWorker};
use gateway_model::{ChannelId, Clock, DeliveryId, DeliveryState, Operation, Timestamp};
use gateway_store::{LeaseGrant, LeaseStore, SqliteStore, StoreError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Result<T> = std::result::Result<T, StoreError>;

const LEASE: Duration = Duration::from_millis(60);

/// The leases of one process: what it was granted last, and a network that can be cut.
struct SeenLeases {
    store: Arc<SqliteStore>,
    until: Mutex<Option<Timestamp>>,
    cut: AtomicBool,
}

#[async_trait]
impl LeaseStore for SeenLeases {
    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<LeaseGrant>> {
        if self.cut.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("cut off".into()));
        }
        let granted = self.store.acquire_lease(name, holder, now, until).await?;
        *self.until.lock().unwrap() = granted.as_ref().map(|grant| grant.until);
        Ok(granted)
    }

    async fn release_lease(&self, grant: &LeaseGrant, now: Timestamp) -> Result<()> {
        self.store.release_lease(grant, now).await
    }

    async fn release_leases(&self, holder: &str, now: Timestamp) -> Result<u64> {
        self.store.release_leases(holder, now).await
    }

    async fn checkpoint(&self, channel: &ChannelId, name: &str) -> Result<Option<String>> {
        self.store.checkpoint(channel, name).await
    }

    async fn checkpoint_saved_at(&self, channel: &ChannelId, name: &str) -> Result<Option<Timestamp>> {
        self.store.checkpoint_saved_at(channel, name).await
    }

    async fn save_checkpoint(
        &self,
        channel: &ChannelId,
        name: &str,
        value: &str,
        lease: &LeaseGrant,
        now: Timestamp,
    ) -> Result<()> {
        self.store.save_checkpoint(channel, name, value, lease, now).await
    }
}

/// One process that has begun an attempt at a peer that takes its time, and another that stands by.
struct Two {
    bench: Bench,
    delivery: DeliveryId,
    leases: Arc<SeenLeases>,
    let_go: Arc<tokio::sync::Notify>,
    first: tokio::task::JoinHandle<()>,
    other: DeliveryWorker,
}

impl Two {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let delivery = bench.owe(1, Operation::Reply).await;
        let let_go = bench.destination.is_slow();
        let config = DeliveryConfig { lease_ms: u64::try_from(LEASE.as_millis()).unwrap(), ..config() };
        let leases =
            Arc::new(SeenLeases { store: bench.store.clone(), until: Mutex::default(), cut: AtomicBool::new(false) });
        let deps = DeliveryDeps { leases: leases.clone(), ..bench.deps() };
        let mut first = DeliveryWorker::new(deps, "first", config).unwrap();
        let first = tokio::spawn(async move {
            run(&mut first).await.unwrap();
        });
        until("the attempt is under way", || bench.destination.sent().len() == 1).await;
        let other = bench.worker_with("other", config);
        Self { bench, delivery, leases, let_go, first, other }
    }

    fn pass(&self, time: Duration) {
        self.bench.clock.advance_to(self.bench.clock.now().saturating_add(time).unwrap());
    }

    async fn state(&self) -> DeliveryState {
        self.bench.state(self.delivery).await
    }
}

#[tokio::test]
async fn an_attempt_that_takes_several_leases_stays_its_holders() {
    let mut two = Two::new().await;
    for _ in 0..8 {
        two.pass(LEASE / 2);
        let renewed = two.bench.clock.now().saturating_add(LEASE).unwrap();
        until("the lease is renewed", || *two.leases.until.lock().unwrap() >= Some(renewed)).await;
        run(&mut two.other).await.unwrap();
    }
    assert!(two.bench.clock.now() >= at(0).saturating_add(4 * LEASE).unwrap());
    assert_eq!(two.state().await, DeliveryState::Sending, "nobody took it for interrupted");
    two.let_go.notify_one();
    two.first.await.unwrap();
    let row = two.bench.row(two.delivery).await;
    assert_eq!((row.state, row.attempts, row.unanswered), (DeliveryState::Acknowledged, 1, false));
}

#[tokio::test]
async fn what_was_under_way_when_its_holder_died_is_asked_for_when_the_lease_is_over() {
    let mut two = Two::new().await;
    two.first.abort();
    assert!((&mut two.first).await.unwrap_err().is_cancelled());
    let over = two.leases.until.lock().unwrap().unwrap();
    two.bench.clock.advance_to(over.saturating_sub(Duration::from_millis(1)).unwrap());
    run(&mut two.other).await.unwrap();
    assert_eq!(two.state().await, DeliveryState::Sending);
    two.bench.clock.advance_to(over);
    run(&mut two.other).await.unwrap();
    assert_eq!((two.state().await, two.bench.destination.asked()), (DeliveryState::Ambiguous, 1));
    assert_eq!(two.bench.destination.sent().len(), 1);
}

#[tokio::test]
async fn who_was_cut_off_ends_nothing_but_by_a_proof() {
    for proof in [false, true] {
        let mut two = Two::new().await;
        if !proof {
            two.bench.destination.answers_attempts([refused()]);
        }
        two.leases.cut.store(true, Ordering::SeqCst);
        two.pass(LEASE);
        run(&mut two.other).await.unwrap();
        assert_eq!((two.state().await, two.bench.destination.asked()), (DeliveryState::Ambiguous, 1));
        two.leases.cut.store(false, Ordering::SeqCst);
        two.let_go.notify_one();
        (&mut two.first).await.unwrap();
        let expected = if proof { DeliveryState::Acknowledged } else { DeliveryState::Ambiguous };
        assert_eq!(two.state().await, expected, "proof: {proof}");
    }
}
