//! Dead letters are settled by a whole comparison in step, and by nothing less.

use crate::world::{LOOK, World, channel, order};
use gateway_model::{Clock, Dataset, GapEvidence, GapKind, GapState, Origin, RawId, Window};
use gateway_store::{
    DeadLetterFilter, DeadLetterRow, DeadLetterState, DeadLetterStore, GapGroupStore, GapStore, NewDeadLetter, NewGap,
    NewRaw, RawMeta,
};

async fn letter(world: &World) {
    let now = world.clock.now();
    world
        .write(|loaded, writes| {
            writes.raws.push(NewRaw {
                id: RawId(loaded.next_raw_id),
                meta: RawMeta {
                    channel: channel(),
                    origin: Origin::Poll,
                    number: None,
                    received_at: now,
                    read_at: now,
                    topic: "raw".to_owned(),
                    partition: 0,
                    offset: 0,
                },
                body: b"{".to_vec(),
                key_id: "plain".to_owned(),
            });
            writes.dead_letters.push(NewDeadLetter {
                raw_id: RawId(loaded.next_raw_id),
                channel: channel(),
                number: None,
                code: "undecodable".to_owned(),
                reason: "not JSON".to_owned(),
                at: now,
            });
        })
        .await;
}

async fn the_letter(world: &World) -> DeadLetterRow {
    world.store.dead_letters(&DeadLetterFilter::default(), 10).await.unwrap().pop().unwrap()
}

#[tokio::test]
async fn a_whole_comparison_in_step_settles_them() {
    let mut world = World::new().await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    letter(&world).await;
    world.round().await.unwrap();
    assert_eq!(the_letter(&world).await.state, DeadLetterState::Open, "it began too early to speak for the letter");
    world.run_for(LOOK).await;
    let settled = the_letter(&world).await;
    assert_eq!(settled.state, DeadLetterState::Waived);
    assert!(settled.settled_reason.unwrap().starts_with("whole comparison of 2026-01-06T12:00:0"));
}

#[tokio::test]
async fn a_gap_or_a_suspicion_keeps_them_open() {
    let mut world = World::new().await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    letter(&world).await;
    world.peer.put(order(60));
    for _ in 0..10 {
        world.run_for(2).await;
        assert_eq!(the_letter(&world).await.state, DeadLetterState::Open);
    }
    assert_ne!(world.gap().await.state, GapState::Closed);
    world.hold(&[order(60)]).await;
    world.run_for(20).await;
    assert_eq!(world.gap().await.state, GapState::Closed);
    assert_eq!(the_letter(&world).await.state, DeadLetterState::Waived);
}

#[tokio::test]
async fn a_picture_that_is_lost_does_not_keep_them_open() {
    let mut world = World::new().await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    let now = world.clock.now();
    let evidence = GapEvidence { theirs: None, ours: None, as_of: now, compared_at: now };
    let gap = NewGap {
        channel: channel(),
        dataset: Dataset::Acceptance,
        kind: GapKind::AttachmentMissing,
        key: None,
        window: Window::new(now, now),
        delivery_id: None,
        evidence,
        detail: Some("attachment 00112233445566778899aabbccddeeff".to_owned()),
        at: now,
    };
    world.store.suspect(&[gap]).await.unwrap();
    let id = world.gap().await.id;
    world.store.open_gaps(&[(id, evidence)], 60_000, now).await.unwrap();
    letter(&world).await;
    world.run_for(LOOK).await;
    assert_eq!(the_letter(&world).await.state, DeadLetterState::Waived);
    assert_eq!(world.gap().await.state, GapState::Open, "and it stays what it is");
}

#[tokio::test]
async fn lateness_elsewhere_does_not_keep_them_open_for_ever() {
    let mut world = World::new().await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    letter(&world).await;
    // Something is always on its way, so no single comparison is ever without a difference.
    for n in 100..120 {
        world.peer.put(order(n));
        world.run_for(2).await;
        world.hold(&[order(n)]).await;
    }
    assert_eq!(the_letter(&world).await.state, DeadLetterState::Waived);
}
