//! Leases and checkpoints.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;

/// One holder until it lets go or its time is over; the epoch rises with the holder.
pub async fn a_lease_has_one_holder(place: &dyn StoreUnderTest) {
    let (a, b) = (place.open().await, place.open().await);
    let first = a.acquire_lease("poll", "a", at(0), at(30)).await.unwrap().unwrap();
    assert_eq!((first.epoch, first.until), (1, at(30)));
    assert_eq!(b.acquire_lease("poll", "b", at(29), at(60)).await.unwrap(), None);
    assert!(b.acquire_lease("other", "b", at(0), at(30)).await.unwrap().is_some());
    let renewed = a.acquire_lease("poll", "a", at(20), at(50)).await.unwrap().unwrap();
    assert_eq!((renewed.epoch, renewed.until), (1, at(50)));
    assert_eq!(b.acquire_lease("poll", "b", at(49), at(80)).await.unwrap(), None);
    let taken = b.acquire_lease("poll", "b", at(50), at(80)).await.unwrap().unwrap();
    assert_eq!(taken.epoch, 2);
    assert_eq!(a.acquire_lease("poll", "a", at(60), at(90)).await.unwrap(), None);
    // A stale holder's release gives nothing back.
    a.release_lease(&renewed, at(61)).await.unwrap();
    assert_eq!(a.acquire_lease("poll", "a", at(62), at(90)).await.unwrap(), None);
    b.release_lease(&taken, at(63)).await.unwrap();
    assert_eq!(a.acquire_lease("poll", "a", at(63), at(90)).await.unwrap().unwrap().epoch, 3);
}

/// Who ends gives back all that it holds, and nothing of another's; the next takes them at once, under new epochs.
pub async fn leases_are_given_back_at_once(place: &dyn StoreUnderTest) {
    let (a, b) = (place.open().await, place.open().await);
    for name in ["deliver", "poll"] {
        a.acquire_lease(name, "a", at(0), at(30)).await.unwrap().unwrap();
    }
    b.acquire_lease("alert", "b", at(0), at(30)).await.unwrap().unwrap();
    assert_eq!(a.release_leases("a", at(2)).await.unwrap(), 2);
    assert_eq!(a.release_leases("a", at(2)).await.unwrap(), 0);
    assert_eq!(b.acquire_lease("poll", "b", at(2), at(32)).await.unwrap().unwrap().epoch, 2);
    assert_eq!(a.acquire_lease("alert", "a", at(2), at(32)).await.unwrap(), None);
}

/// Who lost the lease can't move the checkpoint, even before it knows.
pub async fn a_stale_epoch_saves_no_checkpoint(place: &dyn StoreUnderTest) {
    let (a, b) = (place.open().await, place.open().await);
    let old = a.acquire_lease("poll", "a", at(0), at(30)).await.unwrap().unwrap();
    assert_eq!(a.checkpoint(&municipal(), "orders").await.unwrap(), None);
    a.save_checkpoint(&municipal(), "orders", "one", &old, at(1)).await.unwrap();
    // Past its time, but nobody took it: still the only one.
    a.save_checkpoint(&municipal(), "orders", "two", &old, at(31)).await.unwrap();
    let new = b.acquire_lease("poll", "b", at(31), at(60)).await.unwrap().unwrap();
    b.save_checkpoint(&municipal(), "orders", "three", &new, at(32)).await.unwrap();
    let stale = a.save_checkpoint(&municipal(), "orders", "four", &old, at(33)).await;
    assert!(matches!(stale, Err(StoreError::LeaseLost { epoch: 1, .. })), "{stale:?}");
    let none = LeaseGrant { name: "nobody's".into(), ..old };
    let never = a.save_checkpoint(&municipal(), "orders", "five", &none, at(33)).await;
    assert!(matches!(never, Err(StoreError::LeaseLost { .. })), "{never:?}");
    assert_eq!(a.checkpoint(&municipal(), "orders").await.unwrap().as_deref(), Some("three"));
    assert_eq!(a.checkpoint_saved_at(&municipal(), "orders").await.unwrap(), Some(at(32)));
    assert_eq!(a.checkpoint_saved_at(&municipal(), "others").await.unwrap(), None);
    assert_eq!(a.checkpoint(&desk(), "orders").await.unwrap(), None);
}

/// Holders on two handles that all want the lease whenever it runs out never share an epoch.
pub async fn contenders_get_distinct_epochs(place: &dyn StoreUnderTest) {
    let handles = [place.open().await, place.open().await];
    let mut contenders = tokio::task::JoinSet::new();
    for holder in 0..6usize {
        let store = handles[holder % 2].clone();
        contenders.spawn(async move {
            let mut epochs = Vec::new();
            for round in 0..20 {
                // Each round begins when every older lease is over, and lasts for the round.
                let name = format!("holder {holder}");
                let grant = store.acquire_lease("poll", &name, at(round * 10), at(round * 10 + 5)).await.unwrap();
                epochs.extend(grant.map(|grant| grant.epoch));
            }
            epochs.dedup();
            epochs
        });
    }
    let mut all = Vec::new();
    while let Some(epochs) = contenders.join_next().await {
        all.extend(epochs.unwrap());
    }
    let granted = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), granted, "two holders had the same epoch");
    assert_eq!(all.last().copied(), Some(granted as u64), "epochs without a holder");
}
