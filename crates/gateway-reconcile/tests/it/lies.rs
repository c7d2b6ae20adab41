//! Accounts that contradict themselves are suspected, become a gap of their own, and nothing is concluded from them.

use crate::peer::Lie;
use crate::world::{GRAINS, LOOK, World, config, item, order};
use gateway_model::{Dataset, GapKind, GapState, Grain};
use gateway_reconcile::{Defences, ReconcileConfig};
use gateway_store::{GapRow, JobKind};
use std::sync::atomic::Ordering;

async fn with(grains: &[Grain], config: ReconcileConfig) -> World {
    let world = World::with(config, grains, Defences::default()).await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    world
}

async fn lying(lie: Lie) -> World {
    let world = with(&GRAINS, ReconcileConfig { list_below_items: 0, ..config() }).await;
    world.peer.put(order(60));
    *world.peer.lie.lock().unwrap() = Some(lie);
    world
}

async fn unreliable(world: &World) -> Vec<GapRow> {
    world.gaps().await.into_iter().filter(|gap| gap.kind == GapKind::ManifestUnreliable).collect()
}

fn detail(gap: &GapRow) -> &str {
    gap.detail.as_deref().unwrap()
}

#[tokio::test]
async fn a_lying_list_is_asked_once_again_suspected_confirmed_and_closed_when_it_is_honest() {
    let lies = [
        (Lie::Twice, "ids item_twice"),
        (Lie::Outside, "ids item_outside"),
        (Lie::LeavesOut, "ids list_not_as_counted total"),
        (Lie::OtherWindow, "ids other_account"),
        (Lie::OtherDataset, "ids other_account"),
        (Lie::Truncated, "ids unreadable"),
    ];
    for (lie, named) in lies {
        let mut world = lying(lie).await;
        world.round().await.unwrap();
        let lists = world.peer.take_calls().iter().filter(|call| call.grain == Grain::Ids).count();
        assert_eq!(lists, 2, "{lie:?}: asked again once");
        let gap = world.gap().await;
        assert_eq!(
            (gap.kind, gap.state, detail(&gap)),
            (GapKind::ManifestUnreliable, GapState::Suspected, named),
            "{lie:?}"
        );
        assert_eq!((gap.dataset, &gap.key), (Dataset::Acceptance, &None), "{lie:?}");
        world.wait(LOOK);
        world.round().await.unwrap();
        assert_eq!(world.gap().await.state, GapState::Open, "{lie:?}");
        world.run_for(30).await;
        assert_eq!(world.gap().await.state, GapState::Open, "{lie:?}: one gap, however often it lies");
        assert!(world.take_jobs(JobKind::Reread).await.is_empty(), "{lie:?}: nothing is repaired because of it");
        // Once it is honest again, the gap closes and the difference is found.
        *world.peer.lie.lock().unwrap() = None;
        world.run_for(20).await;
        let gaps = world.gaps().await;
        assert_eq!((gaps.len(), gaps[0].state, gaps[1].kind), (2, GapState::Closed, GapKind::MissingOrder), "{lie:?}");
    }
}

#[tokio::test]
async fn a_lie_about_many_windows_is_a_few_gaps() {
    let mut world = lying(Lie::Twice).await;
    for day in 1..9 {
        let orders = [0, 1].map(|n| item(Dataset::Acceptance, 100 + day * 2 + n, i64::from(day) * 1_440, 7));
        world.agree(&orders).await;
        world.peer.put(item(Dataset::Acceptance, 200 + day, i64::from(day) * 1_440 + 1, 7));
    }
    world.run_for(LOOK + 10).await;
    let gaps = unreliable(&world).await;
    assert!((2..=3).contains(&gaps.len()), "{gaps:?}");
    *world.peer.lie.lock().unwrap() = None;
    world.run_for(40).await;
    assert!(unreliable(&world).await.iter().all(|gap| gap.state == GapState::Closed));
}

#[tokio::test]
async fn a_lie_of_a_moment_is_never_a_gap() {
    for lie in [Lie::Twice, Lie::LeavesOut, Lie::Truncated] {
        let mut world = lying(lie).await;
        world.round().await.unwrap();
        assert_eq!(world.states().await, [GapState::Suspected], "{lie:?}");
        *world.peer.lie.lock().unwrap() = None;
        world.run_for(LOOK + 2).await;
        assert!(unreliable(&world).await.is_empty(), "{lie:?}");
        assert!(world.vanished().await >= 1, "{lie:?}");
    }
}

#[tokio::test]
async fn a_whole_comparison_over_a_lie_is_not_in_step() {
    let mut world = lying(Lie::Twice).await;
    world.round().await.unwrap();
    let status = (world.reconciler.status())();
    assert_eq!(status.whole_in_step, Some(false));
}

#[tokio::test]
async fn a_snapshot_that_does_not_move_is_stale_and_named() {
    let mut world = with(&GRAINS, ReconcileConfig { manifest_age_max_ms: 20_000, ..config() }).await;
    world.round().await.unwrap();
    world.peer.freeze();
    world.run_for(20).await;
    assert!(unreliable(&world).await.is_empty(), "so old it may be");
    world.run_for(20).await;
    let gaps = unreliable(&world).await;
    assert_eq!(gaps.len(), 3, "one a dataset, whatever was asked: {gaps:?}");
    assert!(gaps.iter().all(|gap| gap.state == GapState::Open && detail(gap).ends_with(" stale_snapshot")), "{gaps:?}");
    world.peer.thaw();
    world.run_for(20).await;
    assert!(unreliable(&world).await.iter().all(|gap| gap.state == GapState::Closed));
}

#[tokio::test]
async fn an_account_much_older_than_one_before_goes_back() {
    let mut world = with(&GRAINS, ReconcileConfig { manifest_age_max_ms: 20_000, ..config() }).await;
    world.round().await.unwrap();
    world.peer.clock_behind_ms.store(60_000, Ordering::SeqCst);
    world.run_for(8).await;
    let gaps = unreliable(&world).await;
    assert!(gaps.len() == 3 && gaps.iter().all(|gap| detail(gap).ends_with(" goes_back")), "{gaps:?}");
    assert!(gaps.iter().all(|gap| gap.state == GapState::Open));
}

#[tokio::test]
async fn a_peer_that_only_counts_and_flips_is_named_and_not_repaired() {
    let grains = [Grain::Month, Grain::Day];
    let mut world = with(&grains, config()).await;
    world.peer.counts_only.store(true, Ordering::SeqCst);
    world.run_for(12).await;
    assert!(world.gaps().await.is_empty(), "an honest count is in step");
    *world.peer.lie.lock().unwrap() = Some(Lie::Flips);
    world.run_for(30).await;
    let gaps = world.gaps().await;
    assert!(!gaps.is_empty());
    assert!(
        gaps.iter().all(|gap| gap.kind == GapKind::ManifestUnreliable && detail(gap).ends_with(" flips")),
        "{gaps:?}"
    );
    assert!(gaps.iter().any(|gap| gap.state == GapState::Open), "{gaps:?}");
    assert!(world.take_jobs(JobKind::Backfill).await.is_empty());
}

#[tokio::test]
async fn a_waived_lie_is_not_raised_again() {
    let mut world = lying(Lie::Twice).await;
    world.round().await.unwrap();
    world.wait(LOOK);
    world.round().await.unwrap();
    let gap = world.gap().await;
    let now = gateway_model::Clock::now(&*world.clock);
    let store: &dyn gateway_store::GapStore = &*world.store;
    store.move_gap(gap.id, GapState::Waived, None, Some("known"), Some("li"), now).await.unwrap();
    world.run_for(30).await;
    assert_eq!(world.states().await, [GapState::Waived]);
}

#[tokio::test]
async fn an_account_that_the_records_contradict_is_unreliable_and_no_order_of_it_a_gap() {
    let mut world = with(&GRAINS, config()).await;
    world.peer.readable.store(true, Ordering::SeqCst);
    world.round().await.unwrap();
    // Its accounts stand still and say nothing of it; what is read by number is as of now.
    world.peer.freeze();
    world.peer.clock_behind_ms.store(0, Ordering::SeqCst);
    world.agree(&(50..60).map(order).collect::<Vec<_>>()).await;
    // What it says again at the second look it has said for a whole allowance: that is enough.
    for _ in 0..LOOK + 4 {
        world.peer.refreeze();
        world.wait(1);
        world.round().await.unwrap();
    }
    let gaps = unreliable(&world).await;
    assert!(gaps.iter().any(|gap| gap.state == GapState::Open && detail(gap) == "ids records_differ"), "{gaps:?}");
    assert!(
        world
            .gaps()
            .await
            .iter()
            .all(|gap| gap.state == GapState::Suspected || gap.kind == GapKind::ManifestUnreliable)
    );
    assert!(world.take_jobs(JobKind::Reread).await.is_empty(), "nothing is repaired because of it");
    world.peer.thaw();
    world.run_for(40).await;
    assert!(world.gaps().await.iter().all(|gap| gap.state == GapState::Closed), "{:?}", world.states().await);
}

#[tokio::test]
async fn a_difference_that_the_record_confirms_is_a_gap_as_ever() {
    let mut world = with(&GRAINS, config()).await;
    world.peer.readable.store(true, Ordering::SeqCst);
    world.peer.put(order(60));
    world.run_for(LOOK + 2).await;
    let gap = world.gap().await;
    assert_eq!((gap.kind, gap.state), (GapKind::MissingOrder, GapState::Repairing));
}

#[tokio::test]
async fn while_the_record_can_not_be_read_a_difference_waits_and_the_rest_goes_on() {
    let mut world = with(&GRAINS, config()).await;
    world.peer.readable.store(true, Ordering::SeqCst);
    world.peer.put(order(60));
    world.run_for(LOOK + 2).await;
    assert_eq!(world.gap().await.state, GapState::Repairing);
    world.peer.unread.store(true, Ordering::SeqCst);
    world.peer.put(order(61));
    // The first has been read again; the second is due for its second look.
    world.hold(&[order(60)]).await;
    let mut failed = 0;
    for _ in 0..20 {
        world.wait(1);
        failed += u32::from(world.round().await.is_err());
    }
    assert!(failed > 0, "it is told that the record can't be read");
    assert_eq!(world.states().await, [GapState::Closed, GapState::Suspected]);
    world.peer.unread.store(false, Ordering::SeqCst);
    world.run_for(LOOK + 2).await;
    assert_eq!(world.states().await, [GapState::Closed, GapState::Repairing]);
}
