//! Leases and checkpoints.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

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

/// A handle under a lease writes while the lease is its holder's, whatever it writes, and nothing afterwards; reading goes on.
pub async fn who_works_under_a_lease_writes_nothing_once_it_is_lost(place: &dyn StoreUnderTest) {
    let (a, b) = (place.open().await, place.open().await);
    write_orders(&*a, 0, 2).await;
    let sent = owe(&*a, 0, Operation::Reply, at(600)).await;
    attempt(&*a, sent, reply_item(0, 1), DeliveryState::Acknowledged).await;
    let gap = NewGap {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        kind: GapKind::Differing,
        key: Some(key(1)),
        window: Window::new(at(0), at(600)),
        delivery_id: None,
        evidence: GapEvidence { theirs: Some(digest(1)), ours: None, as_of: at(1), compared_at: at(2) },
        detail: None,
        at: at(10),
    };
    let job = NewJob {
        kind: JobKind::Reread,
        channel: municipal(),
        subject: "GZ1".into(),
        reason: "gap".into(),
        run_at: at(20),
    };
    let lease = a.acquire_lease("reconcile", "a", at(0), at(30)).await.unwrap().unwrap();
    let under = a.under(&lease);
    let ids = under.suspect(&[gap.clone(), gap.clone()]).await.unwrap();
    under.move_gap(ids[0], GapState::Open, None, None, None, at(11)).await.unwrap();
    // Renewed it is the same lease; past its time, and taken by nobody, it is still the only one.
    a.acquire_lease("reconcile", "a", at(12), at(40)).await.unwrap().unwrap();
    under.enqueue(std::slice::from_ref(&job)).await.unwrap();
    under.move_gap(ids[0], GapState::Repairing, None, None, None, at(50)).await.unwrap();

    b.acquire_lease("reconcile", "b", at(50), at(80)).await.unwrap().unwrap();
    let before = (a.gaps(&GapFilter::default(), 10).await.unwrap(), a.job_tallies().await.unwrap());
    let evidence = gap.evidence;
    let refused = [
        under.move_gap(ids[0], GapState::Closed, None, None, None, at(51)).await.err(),
        under.suspect(std::slice::from_ref(&gap)).await.err(),
        under.suspect_again(ids[1], GapKind::MissingOrder, evidence, at(51)).await.err(),
        under.forget(&ids[1..]).await.err(),
        under.open_gaps(&[(ids[1], evidence)], 1_000, at(51)).await.err(),
        under.redeliver(sent, at(51)).await.err(),
        under.enqueue(&[NewJob { subject: "GZ2".into(), ..job }]).await.err(),
        under.check().await.err(),
    ];
    for (n, refused) in refused.into_iter().enumerate() {
        assert!(matches!(refused, Some(StoreError::LeaseLost { epoch: 1, .. })), "{n}: {refused:?}");
    }
    assert_eq!((a.gaps(&GapFilter::default(), 10).await.unwrap(), a.job_tallies().await.unwrap()), before);
    assert_eq!(state_of(&*a, sent).await, DeliveryState::Acknowledged);
    assert_eq!(under.gaps(&GapFilter::default(), 10).await.unwrap(), before.0);
    // Others are not bound by it.
    a.move_gap(ids[0], GapState::Closed, None, None, None, at(52)).await.unwrap();
    b.check().await.unwrap();
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
