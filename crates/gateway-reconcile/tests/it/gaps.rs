//! From the first look to the opening, and what never gets there.

use crate::world::{LOOK, World, channel, config, item, order};
use gateway_model::{Dataset, GapKind, GapState, Grain, Moment};
use gateway_reconcile::{Defences, ReconcileConfig};
use gateway_store::{ComparisonKind, GapStore, JobKind};
use std::sync::atomic::Ordering;

fn many(from: u32, to: u32) -> Vec<gateway_model::BookItem> {
    (from..to).map(order).collect()
}

#[tokio::test]
async fn what_is_in_step_costs_one_call_a_dataset() {
    let mut world = World::new().await;
    world.agree(&many(0, 200)).await;
    world.round().await.unwrap();
    let calls = world.peer.take_calls();
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert!(calls.iter().all(|call| call.grain == Grain::Total && call.listed == 0));
    assert!(world.gaps().await.is_empty());
    let whole = world.store.last_comparison(&channel(), ComparisonKind::Whole).await.unwrap().unwrap();
    assert!(whole.in_step && whole.calls == 3 && whole.bytes > 0, "{whole:?}");
    assert!((world.reconciler.status())().to_string().contains("in step at 2026-01-06T12:00:00"));
}

#[tokio::test]
async fn a_missing_order_opens_only_at_the_second_look() {
    let mut world = World::new().await;
    world.agree(&many(0, 200)).await;
    world.peer.put(order(300));
    world.round().await.unwrap();
    let first = world.gap().await;
    assert_eq!((first.state, first.kind), (GapState::Suspected, GapKind::MissingOrder));
    world.wait(LOOK - 1);
    world.round().await.unwrap();
    assert_eq!(world.gap().await.state, GapState::Suspected);
    world.wait(1);
    world.round().await.unwrap();
    let gap = world.gap().await;
    assert_eq!((gap.state, gap.generation), (GapState::Repairing, 1));
    assert_eq!((gap.evidence.theirs, gap.evidence.ours), (Some(order(300).digest), None));
    assert!(gap.evidence.as_of > first.evidence.compared_at && gap.opened_at.is_some());
    assert_eq!(world.reread(&[order(300)]).await, ["GZ000300"]);
    world.run_for(2).await;
    assert_eq!(world.gap().await.state, GapState::Closed);
}

#[tokio::test]
async fn ids_are_listed_only_in_the_bucket_that_differs() {
    let mut world = World::with(
        ReconcileConfig { list_below_items: 0, halving_splits: 0, ..config() },
        &crate::world::GRAINS,
        Defences::default(),
    )
    .await;
    // 200 orders every 37 minutes over five days.
    world.agree(&many(0, 200)).await;
    let lost = item(Dataset::Acceptance, 900, 37 * 100 + 1, 1);
    world.peer.put(lost);
    world.round().await.unwrap();
    let calls = world.peer.take_calls();
    let grains: Vec<Grain> = calls.iter().filter(|call| call.grain != Grain::Total).map(|call| call.grain).collect();
    assert_eq!(grains, [Grain::Month, Grain::Day, Grain::Hour, Grain::TenMinutes, Grain::Ids]);
    let listed: usize = calls.iter().map(|call| call.listed).sum();
    assert_eq!(listed, 2, "the lost one and its neighbour of the same ten minutes");
}

#[tokio::test]
async fn lateness_is_never_a_gap() {
    let mut world = World::new().await;
    world.agree(&many(0, 50)).await;
    for n in 100..140 {
        let late = item(Dataset::Acceptance, n, i64::from(n), 1);
        world.peer.put(late.clone());
        world.wait(2);
        world.round().await.unwrap();
        // It arrives after a first look, always.
        assert_eq!(world.states().await, [GapState::Suspected]);
        world.hold(&[late]).await;
    }
    world.run_for(6).await;
    assert!(world.gaps().await.is_empty());
    assert_eq!(world.vanished().await, 40);
}

#[tokio::test]
async fn a_stale_snapshot_is_no_second_look() {
    let mut world = World::new().await;
    world.agree(&many(0, 50)).await;
    world.peer.freeze();
    world.wait(1);
    // We have delivered something that the snapshot can't show yet.
    world.agree(&[order(77)]).await;
    world.round().await.unwrap();
    assert_eq!(world.gap().await.kind, GapKind::DeniedBySource);
    world.run_for(20).await;
    assert_eq!(world.gap().await.state, GapState::Suspected, "the same snapshot again proves nothing");
    world.peer.thaw();
    world.run_for(4).await;
    assert!(world.gaps().await.is_empty());
    assert_eq!(world.vanished().await, 1);
}

#[tokio::test]
async fn other_evidence_starts_the_clock_again() {
    let mut world = World::new().await;
    world.agree(&many(0, 50)).await;
    world.peer.put(item(Dataset::Acceptance, 7, 7 * 37, 2));
    world.round().await.unwrap();
    assert_eq!(world.gap().await.kind, GapKind::Differing);
    for digest in 3..8 {
        world.wait(LOOK);
        world.peer.put(item(Dataset::Acceptance, 7, 7 * 37, digest));
        world.round().await.unwrap();
        assert_eq!(world.gap().await.state, GapState::Suspected, "it is edited all the time");
    }
    world.wait(LOOK);
    world.round().await.unwrap();
    assert_eq!(world.gap().await.state, GapState::Repairing);
}

#[tokio::test]
async fn without_the_second_look_lateness_is_an_alarm() {
    let mut world = World::with(config(), &crate::world::GRAINS, Defences { second_look: false }).await;
    world.peer.put(order(1));
    world.round().await.unwrap();
    assert_eq!(world.gap().await.state, GapState::Open);
}

#[tokio::test]
async fn every_kind_on_our_side_is_named() {
    let mut world = World::new().await;
    world.agree(&many(0, 50)).await;
    world.peer.put(order(200));
    world.peer.put(item(Dataset::Handling, 3, 3 * 37, 1));
    world.peer.put(item(Dataset::Acceptance, 4, 4 * 37, 9));
    world.hold(&[order(201)]).await;
    world.round().await.unwrap();
    let kinds = |gaps: Vec<gateway_store::GapRow>| {
        gaps.into_iter()
            .map(|gap| (gap.key.unwrap().number.to_string(), gap.kind))
            .collect::<std::collections::BTreeSet<_>>()
    };
    let expected = [
        ("GZ000200", GapKind::MissingOrder),
        ("GZ000003", GapKind::MissingItem),
        ("GZ000004", GapKind::Differing),
        ("GZ000201", GapKind::DeniedBySource),
    ];
    let expected = expected.map(|(number, kind)| (number.to_owned(), kind)).into();
    assert_eq!(kinds(world.gaps().await), expected);
    world.wait(LOOK);
    world.round().await.unwrap();
    assert!(world.states().await.iter().all(|state| *state == GapState::Repairing));
    let mut asked = world.take_jobs(JobKind::Reread).await;
    asked.sort_unstable();
    assert_eq!(asked, ["GZ000003", "GZ000004", "GZ000200", "GZ000201"]);
}

#[tokio::test]
async fn an_item_that_moved_is_one_difference() {
    let mut world = World::new().await;
    world.agree(&many(0, 50)).await;
    let mut moved = order(5);
    moved.event_time = Moment::At("2025-06-01T10:00:00+08:00".parse().unwrap());
    // As channels do: an event time that can change is among the compared fields.
    moved.digest = gateway_model::Digest([2; 32]);
    world.peer.put(moved.clone());
    world.round().await.unwrap();
    assert_eq!(world.gap().await.kind, GapKind::Differing);
    world.wait(LOOK);
    world.round().await.unwrap();
    assert_eq!(world.gap().await.state, GapState::Repairing);
    world.reread(&[moved]).await;
    world.run_for(6).await;
    assert_eq!(world.gap().await.state, GapState::Closed);
}

#[tokio::test]
async fn a_date_only_item_and_one_of_2099_are_found() {
    let mut world = World::new().await;
    world.agree(&many(0, 200)).await;
    let mut date_only = order(500);
    date_only.event_time = Moment::On("2026-01-06".parse().unwrap());
    let mut far = order(501);
    far.event_time = Moment::At("2099-12-31T23:59:59+08:00".parse().unwrap());
    world.peer.put(date_only.clone());
    world.peer.put(far.clone());
    world.round().await.unwrap();
    world.wait(LOOK);
    world.round().await.unwrap();
    assert_eq!(world.states().await, [GapState::Repairing; 2]);
    world.reread(&[date_only, far]).await;
    world.run_for(2).await;
    assert_eq!(world.states().await, [GapState::Closed; 2]);
}

#[tokio::test]
async fn a_peer_whose_clock_is_behind_gets_its_gaps_too() {
    let mut world = World::new().await;
    world.peer.clock_behind_ms.store(3_600_000, Ordering::SeqCst);
    world.agree(&many(0, 50)).await;
    world.peer.put(order(99));
    world.round().await.unwrap();
    world.wait(LOOK);
    world.round().await.unwrap();
    assert_eq!(world.gap().await.state, GapState::Repairing);
    world.reread(&[order(99)]).await;
    world.run_for(2).await;
    assert_eq!(world.gap().await.state, GapState::Closed);
}

#[tokio::test]
async fn a_round_over_its_cap_goes_on_in_the_next_and_finds_all() {
    let capped = ReconcileConfig { max_calls_per_round: 4, max_ids_per_round: 30, ids_per_call: 20, ..config() };
    let mut world = World::with(capped, &crate::world::GRAINS, Defences::default()).await;
    for n in 0..150 {
        world.peer.put(order(n));
    }
    world.round().await.unwrap();
    assert_eq!(world.gaps().await.len(), 150);
}

#[tokio::test]
async fn a_peer_that_is_down_loses_nothing_of_what_was_found() {
    let mut world = World::new().await;
    world.agree(&many(0, 50)).await;
    world.peer.put(order(99));
    world.round().await.unwrap();
    world.wait(LOOK);
    world.peer.down.store(true, Ordering::SeqCst);
    let error = world.round().await.unwrap_err();
    assert_eq!(error.code, "unavailable");
    assert_eq!(world.gap().await.state, GapState::Suspected);
    world.peer.down.store(false, Ordering::SeqCst);
    world.round().await.unwrap();
    assert_eq!(world.gap().await.state, GapState::Repairing);
}

#[tokio::test]
async fn a_waived_difference_stays_waived_until_it_changes() {
    let mut world =
        World::with(ReconcileConfig { auto_repair: false, ..config() }, &crate::world::GRAINS, Defences::default())
            .await;
    world.agree(&many(0, 50)).await;
    world.hold(&[order(60)]).await;
    world.round().await.unwrap();
    world.wait(LOOK);
    world.round().await.unwrap();
    let gap = world.gap().await;
    assert_eq!(gap.state, GapState::Open);
    let now = gateway_model::Clock::now(&*world.clock);
    world.store.move_gap(gap.id, GapState::Waived, None, Some("known"), Some("li"), now).await.unwrap();
    world.run_for(12).await;
    assert_eq!(world.gap().await.state, GapState::Waived);
    world.peer.put(item(Dataset::Acceptance, 60, 60 * 37, 5));
    world.run_for(12).await;
    assert_eq!(world.gaps().await.len(), 2);
}

#[tokio::test]
async fn a_channel_without_ids_names_the_narrowest_bucket() {
    let mut world = World::with(config(), &[Grain::Month, Grain::Day], Defences::default()).await;
    world.agree(&many(0, 50)).await;
    world.peer.put(order(99));
    world.round().await.unwrap();
    let gap = world.gap().await;
    assert_eq!((gap.kind, gap.state, gap.key), (GapKind::CountMismatch, GapState::Suspected, None));
    assert_eq!(gap.window, Grain::Day.bucket(order(99).event_time.start()));
    world.wait(LOOK);
    world.round().await.unwrap();
    assert_eq!(world.gap().await.state, GapState::Repairing);
    let asked = world.take_jobs(JobKind::Backfill).await;
    assert_eq!(asked, [format!("acceptance {} {}", gap.window.start, gap.window.end)]);
    world.hold(&[order(99)]).await;
    world.run_for(6).await;
    assert_eq!(world.gap().await.state, GapState::Closed);
}

#[tokio::test]
async fn halving_finds_one_among_many_by_totals_alone_and_counts_date_only_items() {
    let mut world = World::new().await;
    world.agree(&many(0, 400)).await;
    // Of the day on which one is lost; hours and ten minutes do not count them, totals do.
    let day_only: Vec<_> = (1_000..1_030)
        .map(|n| {
            let mut item = order(n);
            item.event_time = Moment::On("2026-01-08".parse().unwrap());
            item
        })
        .collect();
    world.agree(&day_only).await;
    let lost = item(Dataset::Acceptance, 900, 3 * 1_440 + 15, 1);
    assert_eq!(lost.event_time.day(), "2026-01-08".parse().unwrap());
    world.peer.put(lost.clone());
    world.round().await.unwrap();
    let calls = world.peer.take_calls();
    assert!(calls.iter().all(|call| matches!(call.grain, Grain::Total | Grain::Ids)), "{calls:?}");
    let lists: Vec<usize> = calls.iter().filter(|call| call.grain == Grain::Ids).map(|call| call.listed).collect();
    assert!(lists.len() == 1 && lists[0] <= 3, "{lists:?}");
    assert!(calls.len() <= 3 + 10 + 1, "about one call for each halving of 430 items: {}", calls.len());
    assert_eq!(world.gap().await.key, Some(lost.key));
}
