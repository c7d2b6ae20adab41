//! The worker's own affairs: lease, side by side, breaker, the store's failures, waking.

use crate::bench::{Bench, at, config, id, run};
use gateway_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use gateway_bus::{Bus, NewMessage, TopicName, TopicSpec};
use gateway_connector::{BreakerPolicy, BreakerState, Outcome, Reason};
use gateway_delivery::{DeliveryConfig, OutboundWaker};
use gateway_model::{DeliveryState, Operation};
use gateway_runtime::{Driver, Schedule, TaskHost};
use gateway_store::LeaseStore;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test]
async fn distinct_orders_go_side_by_side() {
    let bench = Bench::new().await;
    bench.destination.wait_for(3);
    for order in 1..=6 {
        bench.owe(order, Operation::Reply).await;
    }
    let mut worker = bench.worker_with("me", DeliveryConfig { concurrency: 3, ..config() });
    tokio::time::timeout(Duration::from_secs(30), run(&mut worker)).await.unwrap().unwrap();
    assert_eq!((bench.destination.sent().len(), bench.destination.most_under_way()), (6, 3));
}

#[tokio::test]
async fn only_the_holder_of_the_lease_sends() {
    let bench = Bench::new().await;
    let delivery = bench.owe(1, Operation::Reply).await;
    let name = "deliver/municipal-12345";
    let other = bench.store.acquire_lease(name, "other", at(0), at(1_000)).await.unwrap().unwrap();
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    assert_eq!(bench.destination.sent().len(), 0);
    bench.store.release_lease(&other, at(1)).await.unwrap();
    run(&mut worker).await.unwrap();
    assert_eq!(bench.state(delivery).await, DeliveryState::Acknowledged);
}

#[tokio::test]
async fn an_end_that_could_not_be_written_is_written_later_and_not_sent_for_again() {
    let bench = Bench::new().await;
    let delivery = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    bench.deliveries.fail_ends(10);
    assert_eq!(run(&mut worker).await.unwrap_err().code, "store_unavailable");
    assert_eq!(bench.state(delivery).await, DeliveryState::Sending);
    bench.owe(2, Operation::Reply).await;
    assert_eq!(run(&mut worker).await.unwrap_err().code, "store_unavailable");
    assert_eq!(bench.destination.sent().len(), 1, "nothing is begun before it is written");
    bench.deliveries.fail_ends(0);
    run(&mut worker).await.unwrap();
    assert_eq!(bench.state(delivery).await, DeliveryState::Acknowledged);
    assert_eq!(bench.destination.sent().len(), 2);
}

#[tokio::test]
async fn a_destination_that_is_down_is_left_alone() {
    let bench = Bench::new().await;
    let unreachable =
        || Outcome::NotTaken { reason: Reason::new("unreachable", "connection refused"), not_before: None };
    bench.destination.answers_attempts((0..10).map(|_| unreachable()));
    for order in 1..=10 {
        bench.owe(order, Operation::Reply).await;
    }
    let breaker = BreakerPolicy { failures: 3, open_ms: 3_600_000 };
    let mut worker = bench.worker_with("me", DeliveryConfig { concurrency: 1, breaker, ..config() });
    run(&mut worker).await.unwrap();
    assert_eq!(bench.destination.sent().len(), 3);
    assert!(matches!(worker.breaker().state(), BreakerState::Open { .. }));
}

#[tokio::test]
async fn what_is_owed_wakes_the_worker() {
    let bench = Bench::new().await;
    let dir = tempfile::tempdir().unwrap();
    let bus = EmbeddedBus::open(EmbeddedOptions::in_dir(dir.path()), bench.clock.clone()).await.unwrap();
    let topic = TopicName::outbound(&id());
    let retention = Duration::from_secs(3_600);
    bus.ensure_topic(&TopicSpec { name: topic.clone(), partitions: 1, retention }).await.unwrap();
    let bus = Arc::new(bus);

    let driver = Driver::on(tokio::runtime::Handle::current());
    let hours = Schedule::every(Duration::from_secs(3_600));
    let never = DeliveryConfig { every_ms: 3_600_000, ..config() };
    let worker = bench.worker_with("me", never);
    let leads = worker.leads();
    let worker = driver.spawn(worker, hours);
    let waker = OutboundWaker::new(id(), bus.clone(), worker.clone(), leads, &config());
    driver.spawn(waker, Schedule::every(Duration::from_millis(10)));
    until("the worker's first round is over", || worker.status().rounds > 0).await;

    bench.owe(1, Operation::Reply).await;
    let message = NewMessage { key: "1".into(), headers: Default::default(), payload: Vec::new(), guard: None };
    bus.append(&topic, vec![message]).await.unwrap();
    until("the delivery is sent", || bench.destination.sent().len() == 1).await;
    assert_eq!(driver.shutdown(Duration::from_secs(30)).await, Vec::<String>::new());
}

/// Waits for a state, not for a time.
pub async fn until(what: &str, reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
