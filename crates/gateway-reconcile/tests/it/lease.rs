//! Who may reconcile a channel while its accounts take longer than the lease, and what who has lost it can still do: nothing.

use crate::peer::Peer;
use crate::world::{GRAINS, LOOK, World, channel, config, order};
use gateway_model::{Clock, GapState, ManualClock, Timestamp};
use gateway_reconcile::{Defences, ReconcileConfig, Reconciler};
use gateway_runtime::{Round, Task, TaskError};
use gateway_store::{JobKind, JobStore, LeaseGrant, LeaseStore, SqliteStore};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

const LEASE: &str = "reconcile/municipal-12345";

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

fn round() -> Round {
    Round { stopping: CancellationToken::new() }
}

/// The next account waits for the second; the first tells that it does.
fn hold_next_answer(peer: &Peer) -> (oneshot::Receiver<()>, Arc<Notify>) {
    let (arrived, here) = oneshot::channel();
    let let_go = Arc::new(Notify::new());
    let waiting = let_go.clone();
    *peer.before_answer.lock().unwrap() = Some(Box::pin(async move {
        arrived.send(()).unwrap();
        waiting.notified().await;
    }));
    (here, let_go)
}

/// Another takes the lease, as after the holder was stopped for long: its clock is far ahead.
async fn steal(store: &SqliteStore, now: Timestamp) -> LeaseGrant {
    let later = now.saturating_add(Duration::from_secs(3_600)).unwrap();
    store.acquire_lease(LEASE, "thief", later, later).await.unwrap().expect("the lease has run out by then")
}

/// It is lost just when the next account is answered, so that the holder does not notice.
fn lose_at_the_next_answer(world: &World) -> oneshot::Receiver<LeaseGrant> {
    let (told, stolen) = oneshot::channel();
    let (store, now) = (world.store.clone(), world.clock.now());
    *world.peer.before_answer.lock().unwrap() = Some(Box::pin(async move {
        told.send(steal(&store, now).await).unwrap();
    }));
    stolen
}

async fn checkpoint(world: &World) -> Option<String> {
    world.store.checkpoint(&channel(), "reconcile").await.unwrap()
}

async fn one_round(world: &mut World) -> Result<(), TaskError> {
    world.reconciler.run(&round()).await.map(drop)
}

/// A round in which the lease is lost unnoticed, after which all is as it was; then the lease is given back.
async fn round_without_effect(world: &mut World) {
    let before = (world.gaps().await, checkpoint(world).await, world.store.job_tallies().await.unwrap());
    let stolen = lose_at_the_next_answer(world);
    let failed = one_round(world).await.unwrap_err();
    assert_eq!(failed.code, "lease_lost", "{failed}");
    let grant = stolen.await.unwrap();
    let after = (world.gaps().await, checkpoint(world).await, world.store.job_tallies().await.unwrap());
    assert_eq!(after, before);
    // While the other has it, it stands by.
    world.peer.take_calls();
    one_round(world).await.unwrap();
    assert!(world.peer.take_calls().is_empty());
    world.store.release_lease(&grant, world.clock.now()).await.unwrap();
}

#[tokio::test]
async fn an_account_that_takes_several_leases_stays_its_holders() {
    let quick = ReconcileConfig { lease_ms: 60, ..config() };
    let world = World::with(quick.clone(), &GRAINS, Defences::default()).await;
    world.agree(&(0..5).map(order).collect::<Vec<_>>()).await;
    let watched = Arc::new(Watched { clock: world.clock.clone(), asked: AtomicU64::new(0) });
    let reconciler = |clock: Arc<dyn Clock>, holder: &str| {
        Reconciler::new(channel(), world.peer.clone(), world.store.clone(), clock, quick.clone(), holder.to_owned())
    };
    let mut first = reconciler(watched.clone(), "first");
    let mut other = reconciler(world.clock.clone(), "other");
    let (here, let_go) = hold_next_answer(&world.peer);
    let first = tokio::spawn(async move { first.run(&round()).await.map(drop) });
    here.await.unwrap();
    assert_eq!(world.peer.take_calls().len(), 1);
    // A lease lasts 60 ms, and the two seconds that may lie between rounds.
    for _ in 0..6 {
        let next = world.clock.now().saturating_add(Duration::from_millis(1_500)).unwrap();
        world.clock.advance_to(next);
        watched.renewed().await;
        other.run(&round()).await.unwrap();
        assert!(world.peer.take_calls().is_empty(), "the other asks nothing");
    }
    let_go.notify_one();
    first.await.unwrap().unwrap();
    assert!(checkpoint(&world).await.is_some(), "its round is written down");
}

#[tokio::test]
async fn a_lease_lost_while_an_account_is_awaited_ends_the_round_without_a_trace() {
    let quick = ReconcileConfig { lease_ms: 60, ..config() };
    let mut world = World::with(quick, &GRAINS, Defences::default()).await;
    world.agree(&(0..5).map(order).collect::<Vec<_>>()).await;
    world.peer.put(order(9));
    let (here, _never) = hold_next_answer(&world.peer);
    let (store, now) = (world.store.clone(), world.clock.now());
    let stealing = tokio::spawn(async move {
        here.await.unwrap();
        steal(&store, now).await
    });
    // The account never comes; the renewal finds that the lease is another's.
    assert_eq!(one_round(&mut world).await.unwrap_err().code, "lease_lost");
    assert!(world.gaps().await.is_empty() && checkpoint(&world).await.is_none());
    world.store.release_lease(&stealing.await.unwrap(), world.clock.now()).await.unwrap();
    world.run_for(LOOK).await;
    assert_eq!(world.gaps().await.len(), 1);
}

#[tokio::test]
async fn a_holder_that_lost_the_lease_unnoticed_finds_confirms_and_closes_nothing() {
    let mut world = World::new().await;
    world.agree(&(0..5).map(order).collect::<Vec<_>>()).await;
    world.round().await.unwrap();
    world.peer.put(order(9));

    world.wait(2);
    round_without_effect(&mut world).await;
    assert!(world.gaps().await.is_empty());
    world.round().await.unwrap();
    assert_eq!(world.states().await, [GapState::Suspected]);

    world.wait(LOOK);
    round_without_effect(&mut world).await;
    assert_eq!(world.states().await, [GapState::Suspected]);
    world.round().await.unwrap();
    assert_eq!(world.states().await, [GapState::Repairing]);
    assert_eq!(world.gap().await.generation, 1);

    assert_eq!(world.reread(&[order(9)]).await.len(), 1);
    world.wait(2);
    round_without_effect(&mut world).await;
    assert_eq!(world.states().await, [GapState::Repairing]);
    // It remembers when it looked last.
    world.run_for(2).await;
    assert_eq!(world.states().await, [GapState::Closed]);
    assert!(world.take_jobs(JobKind::Reread).await.is_empty(), "it was repaired once");
}

#[tokio::test]
async fn what_a_person_asked_for_is_left_to_the_next_holder() {
    let by_hand = ReconcileConfig { auto_repair: false, ..config() };
    let mut world = World::with(by_hand, &GRAINS, Defences::default()).await;
    world.agree(&(0..5).map(order).collect::<Vec<_>>()).await;
    world.peer.put(order(9));
    world.round().await.unwrap();
    world.run_for(LOOK + 2).await;
    let gap = world.gap().await;
    assert_eq!(gap.state, GapState::Open);
    ask_for_repair(&world, gap.id).await;
    world.wait(10);
    let stolen = lose_at_the_next_answer(&world);
    assert_eq!(one_round(&mut world).await.unwrap_err().code, "lease_lost");
    world.store.release_lease(&stolen.await.unwrap(), world.clock.now()).await.unwrap();
    assert_eq!(world.gap().await.state, GapState::Open);
    // The claim runs out, and the job is there still.
    world.wait(600);
    world.round().await.unwrap();
    assert_eq!(world.gap().await.state, GapState::Repairing);
}

#[tokio::test]
async fn what_a_person_asked_for_while_the_channel_is_away_is_done_when_it_is_back() {
    let by_hand = ReconcileConfig { auto_repair: false, ..config() };
    let mut world = World::with(by_hand, &GRAINS, Defences::default()).await;
    world.agree(&(0..5).map(order).collect::<Vec<_>>()).await;
    world.peer.put(order(9));
    world.round().await.unwrap();
    world.run_for(LOOK + 2).await;
    let gap = world.gap().await;
    ask_for_repair(&world, gap.id).await;
    world.peer.down.store(true, Ordering::SeqCst);
    world.wait(10);
    one_round(&mut world).await.unwrap_err();
    assert_eq!(world.gap().await.state, GapState::Open);
    world.peer.down.store(false, Ordering::SeqCst);
    world.wait(600);
    world.round().await.unwrap();
    assert_eq!(world.gap().await.state, GapState::Repairing);
    assert!(world.take_jobs(JobKind::Reconcile).await.is_empty());
}

async fn ask_for_repair(world: &World, gap: gateway_model::GapId) {
    let job = gateway_store::NewJob {
        kind: JobKind::Reconcile,
        channel: channel(),
        subject: format!("gap {gap}"),
        reason: "by hand".to_owned(),
        run_at: world.clock.now(),
    };
    world.store.enqueue(&[job]).await.unwrap();
}
