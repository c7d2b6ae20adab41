//! What comparing leaves for the reports: the channel's account of days, and spans in step.

use crate::world::{World, channel, order};
use gateway_model::{BucketSum, Dataset, Day, Grain};
use gateway_store::{Days, HistoryStore};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// A whole comparison in step proves its span, whatever it was compared by.
#[tokio::test]
async fn a_span_in_step_is_written_down() {
    for grains in [&[Grain::Total, Grain::Day, Grain::Ids][..], &[Grain::Month, Grain::Day, Grain::Ids]] {
        let mut world = World::with(crate::world::config(), grains, Default::default()).await;
        world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
        world.round().await.unwrap();
        let spans = async |of: &str, as_of: &str| {
            let days = Days { from: day(of), to: day(of).tomorrow().unwrap() };
            world.store.account_spans(&channel(), days, day(as_of)).await.unwrap()
        };
        let proven = spans("2026-01-05", "2026-01-06").await;
        let of_orders: Vec<_> = proven.iter().filter(|span| span.dataset == Dataset::Acceptance).collect();
        assert_eq!(of_orders.len(), 1, "{grains:?}: {proven:?}");
        assert_eq!(of_orders[0].compared_at, "2026-01-06T12:00:00+08:00".parse().unwrap());
        assert_eq!(spans("2026-01-05", "2026-01-05").await, []);
    }
}

/// Where the channel is asked by day, its own word is kept, also where it differs from ours.
#[tokio::test]
async fn a_differing_day_is_written_down_as_the_channel_tells_it() {
    let mut world = World::new().await;
    world.agree(&(0..10).map(order).collect::<Vec<_>>()).await;
    world.peer.put(order(30));
    world.round().await.unwrap();
    // The recent past is asked by day.
    world.wait(2);
    world.round().await.unwrap();
    let days = Days { from: day("2026-01-05"), to: day("2026-01-07") };
    let said = world.store.account_days(&channel(), days, day("2026-01-06")).await.unwrap();
    let theirs: u64 = said.iter().map(|row| row.count).sum();
    assert_eq!(theirs, 11, "{said:?}");
    let sum = (0..10).chain([30]).fold(BucketSum::ZERO, |sum, n| sum.plus(order(n).element()));
    let told = said.iter().filter_map(|row| row.sum).fold(BucketSum::ZERO, BucketSum::plus);
    assert_eq!(told, sum);
    // The day that differs lies in no span that is in step.
    let differing = Days { from: day("2026-01-06"), to: day("2026-01-07") };
    let spans = world.store.account_spans(&channel(), differing, day("2026-01-06")).await.unwrap();
    assert!(spans.iter().all(|span| span.dataset != Dataset::Acceptance), "{spans:?}");
}
