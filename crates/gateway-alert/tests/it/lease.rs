//! Who may look and tell while a look takes longer than the lease, and what who has lost it can still do: nothing, and nobody is told twice.

use crate::place::{Place, at, config, finding, round, webhook};
use crate::receiver::{Answer, Receiver};
use async_trait::async_trait;
use gateway_alert::{AlertConfig, Alerter, Check, CheckError, Finding};
use gateway_model::{Clock, IncidentState, ManualClock, News, Severity, Timestamp};
use gateway_runtime::Task as _;
use gateway_store::{LeaseGrant, Store};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Finds the same always; before its first look something happens.
struct Slow {
    before: Option<Work>,
    finding: Finding,
}

#[async_trait]
impl Check for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn look(&mut self, _now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        if let Some(before) = self.before.take() {
            before.await;
        }
        Ok(vec![self.finding.clone()])
    }
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

fn one() -> AlertConfig {
    AlertConfig { notifiers: vec![webhook("a", "http://127.0.0.1:9")], lease_ms: 1_000, every_ms: 1_000, ..config() }
}

fn stuck() -> Finding {
    finding("delivery_stuck", "x", Severity::Critical)
}

fn alerter(place: &Place, clock: Arc<dyn Clock>, holder: &str, before: Option<Work>) -> Alerter {
    let checks: Vec<Box<dyn Check>> = vec![Box::new(Slow { before, finding: stuck() })];
    place.alerting.alerter(checks, place.store.clone(), clock, holder.to_owned())
}

fn held() -> (Work, oneshot::Receiver<()>, Arc<Notify>) {
    let (arrived, here) = oneshot::channel();
    let let_go = Arc::new(Notify::new());
    let waiting = let_go.clone();
    let work = async move {
        arrived.send(()).unwrap();
        waiting.notified().await;
    };
    (Box::pin(work), here, let_go)
}

/// Another takes the lease, as after the holder was stopped for long: its clock is far ahead.
async fn steal(store: &dyn Store, lease: &str) -> LeaseGrant {
    store.acquire_lease(lease, "thief", at(9_000), at(9_000)).await.unwrap().expect("the lease has run out by then")
}

#[tokio::test]
async fn a_look_that_takes_several_leases_stays_its_holders() {
    let place = Place::new(one()).await;
    let watched = Arc::new(Watched { clock: place.clock.clone(), asked: AtomicU64::new(0) });
    let (work, here, let_go) = held();
    let mut first = alerter(&place, watched.clone(), "first", Some(work));
    let mut other = alerter(&place, place.clock.clone(), "other", None);
    let first = tokio::spawn(async move { first.run(&round()).await });
    here.await.unwrap();
    // A lease lasts a second, and the second that may lie between rounds.
    for second in 1..=4 {
        place.clock.advance_to(at(second));
        watched.renewed().await;
        other.run(&round()).await.unwrap();
        assert!(place.incidents().await.is_empty(), "the other finds nothing");
    }
    let_go.notify_one();
    first.await.unwrap().unwrap();
    assert_eq!(place.states().await, [(1, IncidentState::Open)]);
}

#[tokio::test]
async fn a_round_whose_lease_was_lost_tells_nobody_and_the_next_holder_tells_once() {
    // Lost while the check looks, which the renewal finds; and just when it has looked, which nobody does.
    for noticed in [true, false] {
        let place = Place::new(one()).await;
        let (store, (told, stolen)) = (place.store.clone(), oneshot::channel());
        let work = async move {
            told.send(steal(&*store, "alert").await).unwrap();
            if noticed {
                std::future::pending::<()>().await;
            }
        };
        let mut first = alerter(&place, place.clock.clone(), "first", Some(Box::pin(work)));
        let failed = first.run(&round()).await.unwrap_err();
        assert_eq!(failed.code, "lease_lost", "{failed}");
        assert!(place.incidents().await.is_empty() && place.owed("a").await.is_empty());
        // While another has it, it stands by.
        first.run(&round()).await.unwrap();
        assert!(place.incidents().await.is_empty());

        place.store.release_lease(&stolen.await.unwrap(), at(0)).await.unwrap();
        let mut next = alerter(&place, place.clock.clone(), "next", None);
        for second in [0, 30, 31, 60, 90] {
            place.clock.advance_to(at(second));
            next.run(&round()).await.unwrap();
            first.run(&round()).await.unwrap();
        }
        let opened: Vec<_> = place.owed("a").await;
        assert_eq!(opened, [vec![(News::Opened, "x".to_owned())]], "noticed: {noticed}");
    }
}

#[tokio::test]
async fn who_lost_the_lease_while_a_notice_was_on_its_way_marks_nothing_and_sends_no_more() {
    let receiver = Receiver::start().await;
    let notifiers = vec![webhook("hook", &receiver.url)];
    let mut place = Place::new(AlertConfig { notifiers, ..config() }).await;
    place.find(vec![stuck()]);
    place.round(0).await;
    // Its end is a second notice.
    place.find(Vec::new());
    place.round(61).await;
    place.round(130).await;
    let owed = place.owed_rows("hook").await;
    assert_eq!(owed.len(), 2);
    receiver.answer(Answer::After(Duration::from_millis(300)));
    let (store, clock, seen) = (place.store.clone(), place.clock.clone(), receiver.clone());
    let stealing = async move {
        // The first is with the receiver; then the holder is stopped for so long that another takes over.
        let deadline = Instant::now() + Duration::from_secs(30);
        let first = loop {
            let got = seen.take();
            if !got.is_empty() {
                break got;
            }
            assert!(Instant::now() < deadline, "nothing was sent");
            tokio::task::yield_now().await;
        };
        clock.advance_to(at(1_000));
        let grant = store.acquire_lease("notify/hook", "other", at(1_000), at(1_008)).await.unwrap().unwrap();
        (first, grant)
    };
    let one = round();
    let (ran, (first, grant)) = tokio::join!(place.senders[0].run(&one), stealing);
    assert_eq!(ran.unwrap_err().code, "lease_lost");
    assert!(receiver.take().is_empty(), "the second is not sent");
    assert_eq!(place.owed_rows("hook").await, owed, "nothing is marked");
    place.store.release_lease(&grant, at(1_000)).await.unwrap();
    receiver.answer(Answer::With(200, String::new()));
    place.send_well().await;
    let again = receiver.take();
    // At least once: the receiver knows it by its key.
    assert_eq!(again[0].header("webhook-id"), first[0].header("webhook-id"));
    assert_eq!(again.len(), 2);
    assert!(place.owed("hook").await.is_empty());
}
