//! Accounts that contradict themselves are reported, and nothing is concluded from them.

use crate::peer::Lie;
use crate::world::{GRAINS, World, config, order};
use gateway_model::Grain;
use gateway_reconcile::{Defences, ReconcileConfig};
use gateway_store::JobKind;

async fn lying(lie: Lie) -> (World, gateway_runtime::TaskError) {
    let narrow = ReconcileConfig { list_below_items: 0, ..config() };
    let mut world = World::with(narrow, &GRAINS, Defences::default()).await;
    let orders: Vec<_> = (0..50).map(order).collect();
    world.agree(&orders).await;
    world.peer.put(order(60));
    *world.peer.lie.lock().unwrap() = Some(lie);
    let error = world.round().await.unwrap_err();
    (world, error)
}

#[tokio::test]
async fn a_lying_account_is_asked_once_again_and_reported() {
    for lie in [Lie::Twice, Lie::Outside, Lie::LeavesOut] {
        let (mut world, error) = lying(lie).await;
        assert_eq!(error.code, "manifest_unreliable", "{lie:?}");
        let lists = world.peer.take_calls().iter().filter(|call| call.grain == Grain::Ids).count();
        assert_eq!(lists, 2, "{lie:?}: asked again once");
        assert!(world.gaps().await.is_empty(), "{lie:?}");
        assert!(world.take_jobs(JobKind::Reread).await.is_empty());
        // Once it is honest again, the difference is found.
        *world.peer.lie.lock().unwrap() = None;
        world.run_for(12).await;
        assert_eq!(world.gaps().await.len(), 1, "{lie:?}");
    }
}
