//! Comparisons that outlive the process, the caps that they keep to, and what is compared after an outage.

use crate::world::{GRAINS, LOOK, World, channel, config, order};
use gateway_model::{BookItem, Clock, GapKind, GapState, Grain};
use gateway_reconcile::{Defences, ReconcileConfig, Tier};
use gateway_store::{ComparisonKind, GapGroupFilter, GapGroupStore, GapStore, JobKind, JobStore, LeaseStore, NewJob};
use std::sync::atomic::Ordering;

const DAY_MS: u64 = 86_400_000;

/// Nothing is due by time but the first.
fn rare() -> ReconcileConfig {
    let month = ReconcileConfig::WHOLE_AT_LEAST_EVERY_MS;
    ReconcileConfig { recent_every_ms: month, whole_every_ms: month, outage_after_ms: month * 2, ..config() }
}

async fn one_round(world: &mut World) {
    let round = gateway_runtime::Round { stopping: tokio_util::sync::CancellationToken::new() };
    gateway_runtime::Task::run(&mut world.reconciler, &round).await.unwrap();
}

/// A whole comparison that is interrupted after every round, by a process that is started anew, until it ends.
async fn whole_with_restarts(grains: &[Grain], missing: &[BookItem]) -> usize {
    let capped = ReconcileConfig {
        max_calls_per_round: 5,
        buckets_per_call: 40,
        since: "2025-06-01".parse().unwrap(),
        until: "2026-04-01".parse().unwrap(),
        second_look_min_ms: 86_400_000,
        second_look_max_ms: 86_400_000,
        ..rare()
    };
    let mut world = World::with(capped, grains, Defences::default()).await;
    world.agree(&(0..150).map(order).collect::<Vec<_>>()).await;
    missing.iter().for_each(|item| world.peer.put(item.clone()));
    for rounds in 1..200 {
        world.wait(3_600);
        world.restart();
        one_round(&mut world).await;
        let looked = world.peer.take_calls().len();
        assert!(looked <= 6, "a round keeps to its cap, give or take the answer that a list is held against: {looked}");
        if let Some(whole) = world.store.last_comparison(&channel(), ComparisonKind::Whole).await.unwrap() {
            assert_eq!(whole.in_step, missing.is_empty());
            let mut found: Vec<String> =
                world.gaps().await.into_iter().filter_map(|gap| Some(gap.key?.number.to_string())).collect();
            found.sort();
            found.dedup();
            let expected: Vec<String> = missing.iter().map(|item| item.key.number.to_string()).collect();
            assert_eq!(found, expected, "{grains:?}");
            return rounds;
        }
    }
    panic!("{grains:?}: it never ended");
}

#[tokio::test]
async fn a_whole_comparison_ends_although_the_process_restarts_every_hour() {
    let missing = [order(200), order(201), order(900)];
    for grains in [&[Grain::Ids][..], &[Grain::Day, Grain::Ids], &GRAINS, &[Grain::Month, Grain::Hour, Grain::Ids]] {
        assert!(whole_with_restarts(grains, &missing).await > 1, "{grains:?}: it did not need a second round");
        whole_with_restarts(grains, &[]).await;
    }
}

#[tokio::test]
async fn a_restart_is_no_reason_to_compare_everything_again() {
    let mut world = World::with(rare(), &GRAINS, Defences::default()).await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    world.round().await.unwrap();
    world.peer.take_calls();
    world.restart();
    world.wait(60);
    world.round().await.unwrap();
    assert!(world.peer.take_calls().is_empty());
}

#[tokio::test]
async fn memory_of_another_version_is_a_whole_comparison_and_no_failure() {
    let mut world = World::with(rare(), &GRAINS, Defences::default()).await;
    world.round().await.unwrap();
    world.peer.take_calls();
    let now = world.clock.now();
    let lease = world.store.acquire_lease("reconcile/municipal-12345", "test", now, now).await.unwrap().unwrap();
    world.store.save_checkpoint(&channel(), "reconcile", "{\"whole_at\": 7}", &lease, now).await.unwrap();
    world.restart();
    world.round().await.unwrap();
    assert_eq!(world.peer.take_calls().len(), 3);
}

#[tokio::test]
async fn calls_and_bytes_of_an_hour_are_capped_also_over_a_restart() {
    let limits = [(10, u64::MAX), (u64::MAX, 3_000)];
    for (calls, bytes) in limits {
        let capped = ReconcileConfig { max_calls_per_hour: calls, max_bytes_per_hour: bytes, ..config() };
        let mut world = World::with(capped, &GRAINS, Defences::default()).await;
        for n in 0..100 {
            world.peer.put(order(n));
        }
        let mut asked = 0;
        for _ in 0..30 {
            world.restart();
            world.run_for(2).await;
            asked += world.peer.take_calls().len();
        }
        assert!(asked <= 13, "{asked} calls in an hour");
        assert!(world.gaps().await.len() < 200);
        world.wait(3_600);
        world.round().await.unwrap();
        assert!(!world.peer.take_calls().is_empty(), "the next hour is another one");
    }
}

#[tokio::test]
async fn a_round_keeps_to_its_bytes() {
    let capped = ReconcileConfig { max_bytes_per_round: 500, ids_per_call: 20, ..rare() };
    let mut world = World::with(capped, &GRAINS, Defences::default()).await;
    for n in 0..100 {
        world.peer.put(order(n));
    }
    one_round(&mut world).await;
    let first = world.peer.take_calls().len();
    world.round().await.unwrap();
    assert!(first < world.peer.take_calls().len());
    assert_eq!(world.gaps().await.len(), 100);
}

#[tokio::test]
async fn an_older_part_is_compared_at_its_own_pace() {
    let tiers = vec![Tier { reach_ms: 40 * DAY_MS, every_ms: 60_000 }];
    let mut world = World::with(ReconcileConfig { tiers, ..rare() }, &GRAINS, Defences::default()).await;
    world.round().await.unwrap();
    world.peer.take_calls();
    world.run_for(58).await;
    assert!(world.peer.take_calls().is_empty());
    world.run_for(2).await;
    assert_eq!(world.peer.take_calls().len(), 3);
    let older = world.store.last_comparison(&channel(), ComparisonKind::Older).await.unwrap();
    assert!(older.is_some_and(|older| older.in_step && older.calls == 3));
}

#[tokio::test]
async fn after_an_outage_of_the_channel_its_time_is_compared_and_then_everything() {
    let policy = ReconcileConfig { recent_every_ms: 10_000, outage_after_ms: 60_000, ..rare() };
    let mut world = World::with(policy, &GRAINS, Defences::default()).await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    world.round().await.unwrap();
    world.peer.down.store(true, Ordering::SeqCst);
    for _ in 0..6 {
        world.wait(20);
        world.round().await.unwrap_err();
    }
    // Lost in the outage.
    world.peer.put(order(90));
    world.peer.down.store(false, Ordering::SeqCst);
    world.round().await.unwrap();
    world.wait(2);
    world.round().await.unwrap();
    for kind in [ComparisonKind::Outage, ComparisonKind::Whole] {
        let comparison = world.store.last_comparison(&channel(), kind).await.unwrap().unwrap();
        assert!(
            comparison.started_at > world.clock.now().checked_sub(std::time::Duration::from_secs(10)).unwrap(),
            "{kind:?}"
        );
    }
    assert_eq!(world.gaps().await.len(), 1, "{:?}", world.gaps().await);
}

#[tokio::test]
async fn after_the_gateway_was_down_the_same_happens() {
    let policy = ReconcileConfig { recent_every_ms: 10_000, outage_after_ms: 60_000, ..rare() };
    let mut world = World::with(policy, &GRAINS, Defences::default()).await;
    world.round().await.unwrap();
    world.wait(3_600);
    world.restart();
    world.round().await.unwrap();
    world.wait(2);
    world.round().await.unwrap();
    assert!(world.store.last_comparison(&channel(), ComparisonKind::Outage).await.unwrap().is_some());
    let kinds: Vec<_> =
        world.store.comparisons(&channel(), 9).await.unwrap().into_iter().map(|comparison| comparison.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == ComparisonKind::Whole).count(), 2, "{kinds:?}");
}

#[tokio::test]
async fn a_window_of_a_dataset_is_compared_when_a_job_asks() {
    let mut world = World::with(rare(), &GRAINS, Defences::default()).await;
    world.round().await.unwrap();
    world.peer.put(order(3));
    world.peer.put(order(400));
    let job = NewJob {
        kind: JobKind::Reconcile,
        channel: channel(),
        subject: "window acceptance 2026-01-05T00:00:00Z 2026-01-06T00:00:00Z".to_owned(),
        reason: "by hand".to_owned(),
        run_at: world.clock.now(),
    };
    world.store.enqueue(&[job]).await.unwrap();
    world.run_for(2).await;
    let found: Vec<_> = world.gaps().await.into_iter().map(|gap| gap.key.unwrap().number.to_string()).collect();
    assert_eq!(found, ["GZ000003"]);
    assert!(world.take_jobs(JobKind::Reconcile).await.is_empty());
    assert!(
        world.store.last_comparison(&channel(), ComparisonKind::Asked).await.unwrap().is_some_and(|one| !one.in_step)
    );
}

#[tokio::test]
async fn one_outage_is_one_group_of_gaps_in_each_direction() {
    let mut world =
        World::with(ReconcileConfig { group_within_ms: 60_000, ..config() }, &GRAINS, Defences::default()).await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    for n in 100..180 {
        world.peer.put(order(n));
    }
    world.hold(&[order(60)]).await;
    world.round().await.unwrap();
    world.wait(LOOK);
    world.round().await.unwrap();
    let groups = async |world: &World| world.store.gap_groups(&GapGroupFilter::default(), 10).await.unwrap();
    let held = groups(&world).await;
    assert_eq!(held.len(), 1, "{held:?}");
    let kinds: Vec<_> = held[0].tallies.iter().map(|tally| (tally.kind, tally.state, tally.count)).collect();
    assert_eq!(
        kinds,
        [(GapKind::DeniedBySource, GapState::Repairing, 1), (GapKind::MissingOrder, GapState::Repairing, 80)]
    );
    world.hold(&(100..180).map(order).collect::<Vec<_>>()).await;
    world.peer.put(order(60));
    world.run_for(10).await;
    assert!(groups(&world).await[0].ended_at.is_some());
    // Much later, another outage.
    world.wait(120);
    world.peer.put(order(300));
    world.run_for(10).await;
    assert_eq!(groups(&world).await.len(), 2);
}
