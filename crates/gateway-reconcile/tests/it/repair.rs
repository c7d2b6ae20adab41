//! Generations, caps, and repairs by hand.

use crate::world::{GRAINS, LOOK, World, channel, config, item, order};
use gateway_model::{Clock, Dataset, GapKind, GapState};
use gateway_reconcile::{Defences, ReconcileConfig};
use gateway_store::{JobKind, JobStore, NewJob};

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
