//! Who may poll a channel while its pages take longer than the lease, and what who has lost it can still do.

use crate::bench::{Bench, at, id, round, run};
use gateway_intake::{ChannelIntake, Defences, PollConfig, Poller};
use gateway_model::{Clock, ManualClock, Timestamp};
use gateway_runtime::{Ran, Task};
use gateway_store::{LeaseGrant, LeaseStore, SqliteStore};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

const LEASE: &str = "poll/municipal-12345";

fn config() -> PollConfig {
    PollConfig { lease_ms: 60, every_ms: 1_000, ..PollConfig::default() }
}

fn poller(bench: &Bench, clock: Arc<dyn Clock>, holder: &str) -> Poller {
    let intake = ChannelIntake { clock, ..bench.intake() };
    Poller::new(intake, bench.store.clone(), holder, config(), Defences::default()).unwrap()
}

/// A clock that counts how often it is asked.
struct Watched {
    clock: Arc<ManualClock>,
    asked: AtomicU64,
}

impl Clock for Watched {
    fn now(&self) -> Timestamp {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.clock.now()
    }
}

impl Watched {
    /// Waits until the lease was renewed since now: a renewal asks the clock twice, and the next begins only when it has ended.
    async fn renewed(&self) {
        let asked = self.asked.load(Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.asked.load(Ordering::SeqCst) < asked + 4 {
            assert!(Instant::now() < deadline, "the lease is not renewed");
            tokio::task::yield_now().await;
        }
    }
}

/// The next page waits for the second; the first tells that it does.
fn hold_next_page(bench: &Bench) -> (oneshot::Receiver<()>, Arc<Notify>) {
    let (arrived, here) = oneshot::channel();
    let let_go = Arc::new(Notify::new());
    let waiting = let_go.clone();
    bench.channel.before_page(async move {
        arrived.send(()).unwrap();
        waiting.notified().await;
    });
    (here, let_go)
}

/// Another takes the lease, as after the holder was stopped for long: its clock is far ahead.
async fn steal(store: &SqliteStore) -> LeaseGrant {
    store.acquire_lease(LEASE, "thief", at(9_000), at(9_000)).await.unwrap().expect("the lease has run out by then")
}

#[tokio::test]
async fn a_page_that_takes_several_leases_stays_its_holders() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    bench.channel.put("GZ1", "one", at(990));
    let watched = Arc::new(Watched { clock: bench.clock.clone(), asked: AtomicU64::new(0) });
    let mut first = poller(&bench, watched.clone(), "first");
    let mut other = poller(&bench, bench.clock.clone(), "other");
    let (here, let_go) = hold_next_page(&bench);
    let first = tokio::spawn(async move { run(&mut first).await });
    here.await.unwrap();
    assert_eq!(bench.channel.polls().len(), 1);
    // A lease lasts 60 ms, and the second that may lie between rounds.
    for second in 1..=6 {
        bench.set_time(1_000 + second);
        watched.renewed().await;
        run(&mut other).await.unwrap();
        assert_eq!(bench.channel.polls(), [], "the other asks nothing");
    }
    let_go.notify_one();
    first.await.unwrap().unwrap();
    assert_eq!(bench.bodies().await, ["one"]);
    assert!(bench.store.checkpoint(&id(), "poll").await.unwrap().is_some());
}

#[tokio::test]
async fn a_page_that_comes_after_the_lease_was_lost_is_thrown_away() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    bench.channel.put("GZ1", "one", at(990));
    let (here, _never) = hold_next_page(&bench);
    let store = bench.store.clone();
    let stealing = tokio::spawn(async move {
        here.await.unwrap();
        steal(&store).await
    });
    // The page never comes; the renewal finds that the lease is another's.
    let mut first = poller(&bench, bench.clock.clone(), "first");
    assert_eq!(first.run(&round()).await.unwrap(), Ran::Idle);
    assert_eq!((bench.raw().await.len(), bench.store.checkpoint(&id(), "poll").await.unwrap()), (0, None));
    // Its next round stands by.
    bench.channel.polls();
    run(&mut first).await.unwrap();
    assert_eq!(bench.channel.polls(), []);
    bench.store.release_lease(&stealing.await.unwrap(), at(1_001)).await.unwrap();
    run(&mut first).await.unwrap();
    assert_eq!(bench.bodies().await, ["one"]);
}

#[tokio::test]
async fn a_holder_that_lost_the_lease_unnoticed_does_not_move_its_successors_checkpoint() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    bench.channel.put("GZ1", "one", at(990));
    let (store, (told, stolen)) = (bench.store.clone(), oneshot::channel());
    bench.channel.before_page(async move {
        let grant = steal(&store).await;
        store.save_checkpoint(&id(), "poll", "the successor's", &grant, at(1_001)).await.unwrap();
        told.send(grant).unwrap();
    });
    let mut first = poller(&bench, bench.clock.clone(), "first");
    assert_eq!(first.run(&round()).await.unwrap(), Ran::Idle);
    stolen.await.unwrap();
    assert_eq!(bench.store.checkpoint(&id(), "poll").await.unwrap().as_deref(), Some("the successor's"));
    // It read before it knew: the record is on the bus, and comes once more by the successor; the pipeline ends it as a duplicate.
    assert_eq!(bench.bodies().await, ["one"]);
}
