//! What a batch leaves in the history of the books.

use crate::peer::{day, ms, start, whole};
use crate::world::{Record, World, peer};
use gateway_model::Dataset;
use gateway_store::{Days, FlowOutcome, HistoryStore, Leg};

const DAY_MS: i64 = 86_400_000;

/// A late record counts in the flow of the day on which it came, and in the state of the day that it is of; its legs count once.
#[tokio::test]
async fn a_batch_is_counted_on_its_day() {
    let mut world = World::new().await;
    // A revision that is a time, a second before it was received.
    let stated = start().as_millisecond() + DAY_MS + 59_000;
    let wire = whole("N1", stated, &[("handling/c0", "signed 0")]);
    let record = Record { received: DAY_MS + 60_000, read: DAY_MS + 60_000, ..Record::poll(DAY_MS + 60_000, &wire) };
    world.one(record).await;
    let again = Record { received: DAY_MS + 90_000, read: DAY_MS + 90_000, ..Record::poll(DAY_MS + 90_000, &wire) };
    world.one(again).await;

    let days = Days { from: day("2026-11-01"), to: day("2026-12-01") };
    let flow = world.store.flow_days(&peer(), days).await.unwrap();
    assert!(!flow.is_empty() && flow.iter().all(|row| row.day == day("2026-11-24")), "{flow:?}");
    let ended = |outcome| flow.iter().filter(|row| row.outcome == outcome).map(|row| row.changes).sum::<u64>();
    assert_eq!((ended(FlowOutcome::Applied), ended(FlowOutcome::Duplicate)), (wire.changes(), wire.changes()));

    let held = world.store.book_days(&peer(), days, day("2026-11-24")).await.unwrap();
    assert!(held.iter().any(|row| row.dataset == Dataset::Handling && row.count == 1), "{held:?}");
    assert_eq!(world.store.book_days(&peer(), days, day("2026-11-23")).await.unwrap(), []);

    let legs = world.store.latency_days(&peer(), days).await.unwrap();
    let of =
        |leg| legs.iter().filter(|row| row.leg == leg).map(|row| (row.day, row.count, row.max_ms)).collect::<Vec<_>>();
    assert_eq!(of(Leg::SourceToReceived), [(day("2026-11-24"), wire.changes(), 1_000)]);
    assert_eq!(of(Leg::ReceivedToApplied), [(day("2026-11-24"), wire.changes(), 1)]);
}

/// What was fetched again was late for reasons of its own, and a revision that only counts is no time.
#[tokio::test]
async fn only_live_traffic_tells_how_far_the_source_is() {
    let mut world = World::new().await;
    world.one(Record::reread(1_000, &whole("N1", ms(0).as_millisecond(), &[("acceptance/c0", "a")]))).await;
    world.one(Record::poll(2_000, &whole("N2", 7, &[("acceptance/c0", "b")]))).await;
    let days = Days { from: day("2026-11-01"), to: day("2026-12-01") };
    let legs = world.store.latency_days(&peer(), days).await.unwrap();
    assert!(!legs.is_empty() && legs.iter().all(|row| row.leg == Leg::ReceivedToApplied), "{legs:?}");
}
