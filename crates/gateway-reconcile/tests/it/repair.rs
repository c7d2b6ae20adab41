//! Generations, caps, and repairs by hand.

use crate::world::{GRAINS, LOOK, World, channel, config, item, order};
use gateway_model::{Clock, Dataset, GapKind, GapState};
use gateway_reconcile::{Defences, ReconcileConfig};
use gateway_store::{JobKind, JobStore, NewJob, RepairStopStore};

async fn confirmed(world: &mut World) {
    world.round().await.unwrap();
    world.wait(LOOK);
    world.round().await.unwrap();
}

#[tokio::test]
async fn a_repair_that_does_not_help_stops_after_its_generations() {
    let mut world = World::new().await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    world.hold(&[order(60)]).await;
    confirmed(&mut world).await;
    let mut asked = 0;
    for _ in 0..20 {
        asked += world.take_jobs(JobKind::Reread).await.len();
        world.run_for(2).await;
    }
    let gap = world.gap().await;
    assert_eq!((gap.kind, gap.state, gap.generation), (GapKind::DeniedBySource, GapState::Open, 3));
    assert_eq!(asked, 3);
    assert!(gap.reason.unwrap().starts_with("the source denies it"));
    // Left to a person, it is still watched.
    world.peer.put(order(60));
    world.run_for(14).await;
    assert_eq!(world.gap().await.state, GapState::Closed);
}

#[tokio::test]
async fn each_generation_gets_its_patience() {
    let mut world = World::new().await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    world.peer.put(order(60));
    confirmed(&mut world).await;
    assert_eq!(world.gap().await.generation, 1);
    world.run_for(2).await;
    assert_eq!(world.gap().await.generation, 1);
    world.run_for(2).await;
    assert_eq!(world.gap().await.generation, 2);
    world.reread(&[order(60)]).await;
    world.run_for(4).await;
    assert_eq!(world.gap().await.state, GapState::Closed);
}

#[tokio::test]
async fn what_has_come_closes_although_the_source_went_on() {
    let mut world = World::new().await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    let edited = item(Dataset::Acceptance, 5, 5 * 37, 2);
    world.peer.put(edited.clone());
    confirmed(&mut world).await;
    world.reread(&[edited]).await;
    world.peer.put(item(Dataset::Acceptance, 5, 5 * 37, 3));
    world.run_for(2).await;
    let gaps = world.gaps().await;
    assert_eq!(gaps[0].state, GapState::Closed);
    assert!(gaps[1..].iter().all(|gap| gap.state == GapState::Suspected));
}

#[tokio::test]
async fn a_mass_difference_is_not_repaired_without_a_person() {
    let few = ReconcileConfig { repair_share_floor: 5, max_repair_share: 0.1, ..config() };
    let mut world = World::with(few, &GRAINS, Defences::default()).await;
    world.hold(&(0..50).map(order).collect::<Vec<_>>()).await;
    for n in 0..30 {
        world.peer.put(order(n));
    }
    confirmed(&mut world).await;
    world.run_for(10).await;
    assert_eq!(world.states().await, [GapState::Open; 20]);
    assert!(world.take_jobs(JobKind::Reread).await.is_empty());
    // A person asks for one.
    let gap = world.gaps().await[3].clone();
    let job = NewJob {
        kind: JobKind::Reconcile,
        channel: channel(),
        subject: format!("gap {}", gap.id),
        reason: "by hand".to_owned(),
        run_at: world.clock.now(),
    };
    world.store.enqueue(&[job]).await.unwrap();
    world.run_for(2).await;
    assert_eq!(world.take_jobs(JobKind::Reread).await, [gap.key.unwrap().number.to_string()]);
    assert!(world.take_jobs(JobKind::Reconcile).await.is_empty());
}

#[tokio::test]
async fn a_first_fill_is_no_mass_difference() {
    let few = ReconcileConfig { repair_share_floor: 5, max_repair_share: 0.1, ..config() };
    let mut world = World::with(few, &GRAINS, Defences::default()).await;
    for n in 0..200 {
        world.peer.put(order(n));
    }
    confirmed(&mut world).await;
    let all: Vec<_> = (0..200).map(order).collect();
    assert_eq!(world.reread(&all).await.len(), 200);
    world.run_for(4).await;
    assert_eq!(world.states().await, [GapState::Closed; 200]);
}

#[tokio::test]
async fn a_comparison_is_made_when_a_job_asks() {
    let rare = ReconcileConfig { recent_every_ms: 86_400_000, whole_every_ms: 86_400_000, ..config() };
    let mut world = World::with(rare, &GRAINS, Defences::default()).await;
    world.round().await.unwrap();
    world.peer.take_calls();
    world.run_for(4).await;
    assert!(world.peer.take_calls().is_empty());
    for subject in ["recent", "whole"] {
        let job = NewJob {
            kind: JobKind::Reconcile,
            channel: channel(),
            subject: subject.to_owned(),
            reason: "by hand".to_owned(),
            run_at: world.clock.now(),
        };
        world.store.enqueue(&[job]).await.unwrap();
        world.run_for(2).await;
        assert_eq!(world.peer.take_calls().len(), 3, "{subject}");
        assert!(world.take_jobs(JobKind::Reconcile).await.is_empty());
    }
}

#[tokio::test]
async fn only_one_replica_reconciles_a_channel() {
    let mut world = World::new().await;
    let round = gateway_runtime::Round { stopping: tokio_util::sync::CancellationToken::new() };
    world.round().await.unwrap();
    let mut other = gateway_reconcile::Reconciler::new(
        channel(),
        world.peer.clone(),
        world.store.clone(),
        world.clock.clone(),
        config(),
        "other".to_owned(),
    );
    world.peer.take_calls();
    gateway_runtime::Task::run(&mut other, &round).await.unwrap();
    assert!(world.peer.take_calls().is_empty());
    // The first one dies; its lease runs out.
    world.wait(61);
    gateway_runtime::Task::run(&mut other, &round).await.unwrap();
    assert!(!world.peer.take_calls().is_empty());
}

#[tokio::test]
async fn a_stopped_repair_survives_a_restart_and_goes_on_when_it_is_approved() {
    let few = ReconcileConfig { repair_share_floor: 5, max_repair_share: 0.1, ..config() };
    let mut world = World::with(few, &GRAINS, Defences::default()).await;
    world.hold(&(0..50).map(order).collect::<Vec<_>>()).await;
    (0..30).for_each(|n| world.peer.put(order(n)));
    confirmed(&mut world).await;
    let stops = world.store.repair_stops().await.unwrap();
    assert_eq!(stops.len(), 1);
    assert!(stops[0].is_waiting() && stops[0].dataset == Dataset::Acceptance && stops[0].gaps == 20, "{stops:?}");
    world.restart();
    world.run_for(20).await;
    assert!(world.take_jobs(JobKind::Reread).await.is_empty());
    assert_eq!(world.store.repair_stops().await.unwrap()[0].since, stops[0].since);
    world.store.approve_repair(&channel(), Dataset::Acceptance, "li", world.clock.now()).await.unwrap();
    world.run_for(2).await;
    assert_eq!(world.take_jobs(JobKind::Reread).await.len(), 20);
    (30..50).for_each(|n| world.peer.put(order(n)));
    world.run_for(10).await;
    assert_eq!(world.states().await, [GapState::Closed; 20]);
    world.run_for(2).await;
    assert!(world.store.repair_stops().await.unwrap().is_empty(), "the difference is gone");
}

#[tokio::test]
async fn a_group_is_repaired_in_pieces_and_only_once() {
    let by_hand = ReconcileConfig { auto_repair: false, repairs_per_round: 7, ..config() };
    let mut world = World::with(by_hand, &GRAINS, Defences::default()).await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    (100..120).for_each(|n| world.peer.put(order(n)));
    confirmed(&mut world).await;
    let group = world.gaps().await[0].group_id.unwrap();
    let job = NewJob {
        kind: JobKind::Reconcile,
        channel: channel(),
        subject: format!("group {group}"),
        reason: "by hand".to_owned(),
        run_at: world.clock.now(),
    };
    world.store.enqueue(&[job]).await.unwrap();
    let mut asked = Vec::new();
    for _ in 0..3 {
        world.run_for(2).await;
        let now = world.take_jobs(JobKind::Reread).await;
        assert!(now.len() <= 14, "in pieces: {}", now.len());
        asked.extend(now);
    }
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), 20);
    assert!(world.take_jobs(JobKind::Reconcile).await.is_empty(), "the job is done");
}

#[tokio::test]
async fn repairs_wait_while_reads_of_the_channel_wait() {
    let busy = ReconcileConfig { repairs_waiting_max: 3, ..config() };
    let mut world = World::with(busy, &GRAINS, Defences::default()).await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    (100..110).for_each(|n| world.peer.put(order(n)));
    confirmed(&mut world).await;
    world.run_for(6).await;
    assert_eq!(world.take_jobs(JobKind::Reread).await.len(), 3, "no more than the reads that may wait");
    world.run_for(2).await;
    assert!(!world.take_jobs(JobKind::Reread).await.is_empty(), "there is room again");
}

#[tokio::test]
async fn repairs_of_a_minute_are_capped() {
    let slow = ReconcileConfig { repairs_per_minute: 4, repair_patience_ms: 600_000, ..config() };
    let mut world = World::with(slow, &GRAINS, Defences::default()).await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    (100..110).for_each(|n| world.peer.put(order(n)));
    confirmed(&mut world).await;
    world.run_for(40).await;
    assert_eq!(world.take_jobs(JobKind::Reread).await.len(), 4);
    world.run_for(30).await;
    assert_eq!(world.take_jobs(JobKind::Reread).await.len(), 4);
}
