//! Keeping a lease while something is waited for, on a clock that the test drives.

use async_trait::async_trait;
use gateway_model::{ChannelId, Clock, Timestamp};
use gateway_store::{LeaseGrant, LeaseKeeper, LeaseStore, StoreError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

type Result<T> = std::result::Result<T, StoreError>;

const LENGTH: Duration = Duration::from_secs(6);

/// The runtime's paused time, and what this process slept through.
struct Machine {
    start: Instant,
    slept_ms: AtomicU64,
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        let passed = self.start.elapsed() + Duration::from_millis(self.slept_ms.load(Ordering::SeqCst));
        Timestamp::from_second(1_790_000_000).unwrap().saturating_add(passed).unwrap()
    }
}

/// One lease row.
#[derive(Default)]
struct Row {
    held: Mutex<Option<(String, u64, Timestamp)>>,
    away: AtomicBool,
    renewals: AtomicU64,
}

#[async_trait]
impl LeaseStore for Row {
    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<LeaseGrant>> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("away".into()));
        }
        let mut held = self.held.lock().unwrap();
        let epoch = match &*held {
            None => 1,
            Some((by, epoch, _)) if by == holder => *epoch,
            Some((_, epoch, over)) if *over <= now => epoch + 1,
            Some(_) => return Ok(None),
        };
        self.renewals.fetch_add(1, Ordering::SeqCst);
        *held = Some((holder.to_owned(), epoch, until));
        Ok(Some(LeaseGrant { name: name.to_owned(), epoch, until }))
    }

    async fn release_lease(&self, _: &LeaseGrant, _: Timestamp) -> Result<()> {
        *self.held.lock().unwrap() = None;
        Ok(())
    }

    async fn release_leases(&self, _: &str, _: Timestamp) -> Result<u64> {
        *self.held.lock().unwrap() = None;
        Ok(1)
    }

    async fn checkpoint(&self, _: &ChannelId, _: &str) -> Result<Option<String>> {
        Ok(None)
    }

    async fn checkpoint_saved_at(&self, _: &ChannelId, _: &str) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    async fn save_checkpoint(&self, _: &ChannelId, _: &str, _: &str, _: &LeaseGrant, _: Timestamp) -> Result<()> {
        Ok(())
    }
}

struct Bench {
    row: Arc<Row>,
    machine: Arc<Machine>,
}

impl Bench {
    fn new() -> Self {
        Self { row: Arc::default(), machine: Arc::new(Machine { start: Instant::now(), slept_ms: AtomicU64::new(0) }) }
    }

    fn keeper(&self, holder: &str) -> LeaseKeeper {
        LeaseKeeper::new(self.row.clone(), self.machine.clone(), "poll/x", holder, LENGTH)
    }

    async fn taken_by(&self, holder: &str) -> bool {
        self.keeper(holder).take().await.unwrap().is_some()
    }
}

async fn request(seconds: u64) -> u64 {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    seconds
}

#[tokio::test(start_paused = true)]
async fn nobody_takes_over_while_a_long_request_is_waited_for() {
    let bench = Bench::new();
    let keeper = bench.keeper("a");
    let mut grant = keeper.take().await.unwrap().unwrap();
    let others = async {
        for _ in 0..120 {
            assert!(!bench.taken_by("b").await);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let (kept, ()) = tokio::join!(keeper.keep(&mut grant, request(30)), others);
    assert_eq!(kept.unwrap(), 30);
    assert_eq!(grant.epoch, 1);
    let renewals = bench.row.renewals.load(Ordering::SeqCst);
    assert!((14..=17).contains(&renewals), "{renewals} renewals: a third of 6 s apart, for 30 s");
}

#[tokio::test(start_paused = true)]
async fn who_dies_during_a_request_is_followed_when_the_lease_is_over() {
    let bench = Bench::new();
    let keeper = bench.keeper("a");
    let mut grant = keeper.take().await.unwrap().unwrap();
    // Its life ends 13 s into a request of an hour.
    let died = tokio::time::timeout(Duration::from_secs(13), keeper.keep(&mut grant, request(3_600))).await;
    assert!(died.is_err());
    let death = Instant::now();
    while !bench.taken_by("b").await {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(death.elapsed() <= LENGTH, "{:?}", death.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_was_stopped_for_longer_than_the_lease_concludes_nothing() {
    let bench = Bench::new();
    let keeper = bench.keeper("a");
    let mut grant = keeper.take().await.unwrap().unwrap();
    let stopped = async {
        bench.machine.slept_ms.fetch_add(60_000, Ordering::SeqCst);
        assert!(bench.taken_by("b").await);
        "an answer"
    };
    let kept = keeper.keep(&mut grant, stopped).await;
    assert!(matches!(kept, Err(StoreError::LeaseLost { epoch: 1, .. })), "{kept:?}");
    // And begins nothing.
    let kept = keeper.keep(&mut grant, async { panic!("begun") as () }).await;
    assert!(matches!(kept, Err(StoreError::LeaseLost { epoch: 1, .. })), "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn who_was_stopped_and_not_followed_goes_on() {
    let bench = Bench::new();
    let keeper = bench.keeper("a");
    let mut grant = keeper.take().await.unwrap().unwrap();
    let stopped = async { bench.machine.slept_ms.fetch_add(60_000, Ordering::SeqCst) };
    keeper.keep(&mut grant, stopped).await.unwrap();
    assert!(!bench.taken_by("b").await, "renewed before it goes on");
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_of_the_store_ends_nothing_and_a_long_one_does() {
    let bench = Bench::new();
    let keeper = bench.keeper("a");
    let mut grant = keeper.take().await.unwrap().unwrap();
    let outage = async |seconds| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.row.away.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        bench.row.away.store(false, Ordering::SeqCst);
    };
    let (kept, ()) = tokio::join!(keeper.keep(&mut grant, request(20)), outage(4));
    assert_eq!(kept.unwrap(), 20);
    let (kept, ()) = tokio::join!(keeper.keep(&mut grant, request(20)), outage(15));
    assert!(matches!(kept, Err(StoreError::Unavailable(_))), "{kept:?}");
}
