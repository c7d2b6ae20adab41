//! Records that come before their order.

use crate::peer::{Wire, ms, partial, whole};
use crate::world::{Record, World};
use gateway_model::ManualClock;
use gateway_pipeline::ParkedSweeper;
use gateway_runtime::{Round, Task};
use gateway_store::{DeadLetterFilter, DeadLetterStore, FlowOutcome};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const A: &str = "acceptance/c0";
const EVENT: &str = "handling/e:1";

#[tokio::test]
async fn an_update_before_its_create_waits_for_it() {
    let mut world = World::new().await;
    world.one(Record::push(1, &partial("N1", EVENT, "urge"))).await;
    assert_eq!((world.in_flight().await, world.captured().await), (1, 1));
    assert_eq!(world.rereads().await, [("N1".to_owned(), "parked".to_owned())]);
    world.one(Record::poll(2, &whole("N2", 1, &[(A, "another order")]))).await;
    assert_eq!(world.in_flight().await, 1);
    world.one(Record::poll(3, &whole("N1", 1, &[(A, "a")]))).await;
    assert_eq!(world.in_flight().await, 0);
    assert_eq!(world.says("N1", EVENT).await, "urge");
    assert_eq!(world.tally(FlowOutcome::Applied).await, 3);
    assert!(world.book().await.keys().any(|key| key.ends_with(EVENT)));
}

#[tokio::test]
async fn waiting_and_coming_in_one_batch_leaves_nothing_parked() {
    let mut world = World::new().await;
    let mut two = partial("N1", EVENT, "urge");
    two.items.push(crate::peer::item("handling/e:2", "supplement"));
    world
        .feed(&[
            Record::push(1, &two),
            Record::push(2, &partial("N1", "handling/e:3", "supervise")),
            Record::poll(3, &whole("N1", 1, &[(A, "a")])),
            Record::push(4, &partial("N1", EVENT, "urge")),
        ])
        .await;
    assert_eq!((world.in_flight().await, world.captured().await), (0, 5));
    assert_eq!(world.order("N1").await.aggregate.events.len(), 3);
    assert_eq!(world.tally(FlowOutcome::Duplicate).await, 1);
}

#[tokio::test]
async fn a_record_with_and_without_day_is_accounted_for_once() {
    // The order comes with the record that also has a partial change of another number: not a shape of today, but no leak either.
    let mut world = World::new().await;
    let mut early = partial("N1", EVENT, "urge");
    early.items.push(crate::peer::item("handling/e:2", "supplement"));
    world.feed(&[Record::push(1, &early), Record::push(1, &early)]).await;
    assert_eq!(world.in_flight().await, 4);
    world.one(Record::poll(2, &whole("N1", 1, &[(A, "a")]))).await;
    assert_eq!((world.in_flight().await, world.captured().await), (0, 5));
    assert_eq!(world.tally(FlowOutcome::Duplicate).await, 2);
}

#[tokio::test]
async fn an_order_that_never_comes_makes_dead_letters() {
    let mut world = World::new().await;
    let mut two = partial("N1", EVENT, "urge");
    two.items.push(crate::peer::item("handling/e:2", "supplement"));
    world.one(Record::push(1, &two)).await;
    let clock = Arc::new(ManualClock::new(ms(0)));
    let mut sweeper =
        ParkedSweeper::new(world.store.clone(), world.decider.clone(), clock.clone(), Duration::from_secs(60));
    let round = Round { stopping: CancellationToken::new() };
    clock.advance_to(ms(60_000));
    sweeper.run(&round).await.unwrap();
    assert_eq!(world.in_flight().await, 2, "patience is not over");
    clock.advance_to(ms(60_010));
    sweeper.run(&round).await.unwrap();
    assert_eq!((world.in_flight().await, world.captured().await), (0, 2));
    assert_eq!(world.tally(FlowOutcome::DeadLettered).await, 2);
    let letters = world.store.dead_letters(&DeadLetterFilter::default(), 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.code.as_str()).collect::<Vec<_>>(), ["orphan"]);
    // The order that comes after all finds nothing waiting.
    world.one(Record::poll(2, &whole("N1", 1, &[(A, "a")]))).await;
    assert_eq!(world.captured().await, 3);
}

#[tokio::test]
async fn what_waits_for_another_channel_stays() {
    let mut world = World::new().await;
    world.one(Record::push(1, &partial("N1", EVENT, "urge"))).await;
    let other: Wire = whole("N1", 1, &[(A, "a")]);
    world.one(Record::poll(2, &other).from(crate::world::deaf())).await;
    assert_eq!(world.in_flight().await, 1, "numbers are a channel's own");
}
