//! How deliveries end, and what of it the books hold.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

async fn sent(store: &dyn Store) -> Vec<StoredItem> {
    store.items(&municipal(), Dataset::Completion, always()).await.unwrap()
}

fn held(side: BookSide, item: BookItem) -> StoredItem {
    StoredItem { side, item }
}

async fn one(place: &dyn StoreUnderTest) -> (std::sync::Arc<dyn Store>, DeliveryId) {
    let store = place.open().await;
    write_orders(&*store, 0, 1).await;
    let id = owe(&*store, 0, Operation::Reply, at(0)).await;
    (store, id)
}

/// The channel said it back: as the pipeline writes it.
async fn echo(store: &dyn Store, id: DeliveryId, item: &BookItem) {
    write(store, |_, writes| {
        writes.delivery_updates.push(DeliveryUpdate {
            id,
            state: DeliveryState::Acknowledged,
            receipt: Some(Receipt { receipt_number: None, received_at: None, source: ReceiptSource::Echo }),
            next_attempt_at: None,
            reason_code: None,
            reason: None,
        });
        writes.book.push(put(&municipal(), BookSide::Source, 1, item.clone()));
    })
    .await
    .unwrap();
}

/// With the version that it was made with, in the transaction of the receipt; a question's answer does the same.
pub async fn an_acknowledgement_puts_the_item_into_the_sent_side(place: &dyn StoreUnderTest) {
    let (store, id) = one(place).await;
    let item = reply_item(0, 1);
    attempt(&*store, id, item.clone(), DeliveryState::Ambiguous).await;
    assert!(sent(&*store).await.is_empty());
    let row = store.delivery(id).await.unwrap().unwrap();
    assert!(row.unanswered);
    assert_eq!((row.reason_code.as_deref(), row.last_attempt_ended_at), (Some("timeout"), Some(at(701))));
    store.end_attempts(&[end(id, DeliveryState::Acknowledged, at(800))], None).await.unwrap();
    let row = store.delivery(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.receipt, row.reason_code), (DeliveryState::Acknowledged, Some(receipt()), None));
    assert!(row.unanswered, "an attempt of this generation had no answer, whatever came later");
    assert_eq!(sent(&*store).await, [held(BookSide::Sent, item.clone())]);
    assert_book_agrees(&*store, &municipal()).await;
    assert_eq!(store.attempts(id).await.unwrap()[0].outcome, Some(DeliveryState::Ambiguous));
    let found = store.deliveries_of_item(&municipal(), &item.key).await.unwrap();
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [id]);
    let other_cycle = ItemKey { part: Part::Cycle(1), ..item.key.clone() };
    assert!(store.deliveries_of_item(&municipal(), &other_cycle).await.unwrap().is_empty());
    assert!(store.deliveries_of_item(&desk(), &item.key).await.unwrap().is_empty());
}

/// What came first, the channel's own word, stays.
pub async fn ending_an_attempt_does_not_undo_an_echo(place: &dyn StoreUnderTest) {
    let (store, id) = one(place).await;
    let item = reply_item(0, 1);
    store.begin_attempts(&[start(id, item.clone(), at(700))], None).await.unwrap();
    echo(&*store, id, &item).await;
    for late in [DeliveryState::Ambiguous, DeliveryState::Acknowledged, DeliveryState::Rejected] {
        store.end_attempts(&[end(id, late, at(701))], None).await.unwrap();
        let row = store.delivery(id).await.unwrap().unwrap();
        assert_eq!(row.state, DeliveryState::Acknowledged);
        assert_eq!(row.receipt.map(|receipt| receipt.source), Some(ReceiptSource::Echo));
        assert_eq!(sent(&*store).await, [held(BookSide::Source, item.clone())]);
    }
    assert_eq!(store.attempts(id).await.unwrap()[0].ended_at, Some(at(701)));
    // And the pipeline does not undo an end either.
    write(&*store, |_, writes| {
        writes.delivery_updates.push(DeliveryUpdate {
            id,
            state: DeliveryState::Superseded,
            receipt: None,
            next_attempt_at: None,
            reason_code: None,
            reason: None,
        });
    })
    .await
    .unwrap();
    assert_eq!(state_of(&*store, id).await, DeliveryState::Acknowledged);
}

/// An answer that comes after the delivery was given a new generation says nothing about that one.
pub async fn an_answer_of_the_generation_before_is_void(place: &dyn StoreUnderTest) {
    let (store, id) = one(place).await;
    let item = reply_item(0, 1);
    store.begin_attempts(&[start(id, item.clone(), at(700))], None).await.unwrap();
    echo(&*store, id, &item).await;
    store.redeliver(id, at(750)).await.unwrap();
    store.end_attempts(&[end(id, DeliveryState::Rejected, at(760))], None).await.unwrap();
    assert_eq!(state_of(&*store, id).await, DeliveryState::Owed);
}

/// Only what was under way, and only at that destination.
pub async fn what_was_sending_at_a_crash_is_ambiguous(place: &dyn StoreUnderTest) {
    let (store, id) = one(place).await;
    let waiting = owe(&*store, 0, Operation::Complete, at(1)).await;
    store.begin_attempts(&[start(id, reply_item(0, 1), at(700))], None).await.unwrap();
    let store = {
        store.close().await;
        place.open().await
    };
    assert_eq!(store.recover_sending(&desk(), at(900), None).await.unwrap(), 0);
    assert_eq!(store.recover_sending(&municipal(), at(900), None).await.unwrap(), 1);
    assert_eq!(store.recover_sending(&municipal(), at(901), None).await.unwrap(), 0);
    let row = store.delivery(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.unanswered, row.next_attempt_at), (DeliveryState::Ambiguous, true, at(900)));
    let attempt = store.attempts(id).await.unwrap().remove(0);
    assert_eq!((attempt.ended_at, attempt.outcome), (Some(at(900)), Some(DeliveryState::Ambiguous)));
    assert_eq!(state_of(&*store, waiting).await, DeliveryState::Owed);
}

/// A worker that was stopped for longer than its lease begins nothing more and takes nothing over. What it still brings says nothing about what its
/// successor began meanwhile; a proof that something arrived stays one, whoever brings it.
pub async fn a_stale_worker_begins_nothing_and_brings_only_proofs(place: &dyn StoreUnderTest) {
    let (store, first) = one(place).await;
    write_orders(&*store, 1, 3).await;
    let second = owe(&*store, 1, Operation::Reply, at(1)).await;
    let third = owe(&*store, 2, Operation::Reply, at(1)).await;
    let name = "deliver/municipal-12345";
    let stale = store.acquire_lease(name, "a", at(700), at(708)).await.unwrap().unwrap();
    let starts = [start(first, reply_item(0, 1), at(701)), start(second, reply_item(1, 1), at(701))];
    store.begin_attempts(&starts, Some(&stale)).await.unwrap();

    let successor = place.open().await;
    let lease = successor.acquire_lease(name, "b", at(708), at(716)).await.unwrap().unwrap();
    assert_eq!(successor.recover_sending(&municipal(), at(708), Some(&lease)).await.unwrap(), 2);
    successor.end_attempts(&[end(first, DeliveryState::Owed, at(709))], Some(&lease)).await.unwrap();
    successor.begin_attempts(&[start(first, reply_item(0, 1), at(710))], Some(&lease)).await.unwrap();

    let refused = store.begin_attempts(&[start(third, reply_item(2, 1), at(711))], Some(&stale)).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost { epoch: 1, .. })), "{refused:?}");
    let refused = store.recover_sending(&municipal(), at(711), Some(&stale)).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost { epoch: 1, .. })), "{refused:?}");
    let late = [end(first, DeliveryState::Owed, at(711)), end(second, DeliveryState::Acknowledged, at(711))];
    store.end_attempts(&late, Some(&stale)).await.unwrap();
    store.end_attempts(&late[..1], Some(&stale)).await.unwrap();
    assert_eq!(state_of(&*store, first).await, DeliveryState::Sending, "the second attempt is under way");
    assert_eq!(state_of(&*store, second).await, DeliveryState::Acknowledged);
    assert_eq!(state_of(&*store, third).await, DeliveryState::Owed);
    successor.end_attempts(&[end(first, DeliveryState::Acknowledged, at(712))], Some(&lease)).await.unwrap();
    assert_eq!(state_of(&*store, first).await, DeliveryState::Acknowledged);
    assert_book_agrees(&*store, &municipal()).await;
}

/// A new generation under a new key, owed from now; the book no longer claims that the channel holds it.
pub async fn redelivering_takes_the_item_out_of_the_book(place: &dyn StoreUnderTest) {
    let (store, id) = one(place).await;
    let item = reply_item(0, 1);
    let refused = store.redeliver(id, at(10)).await;
    assert!(matches!(refused, Err(StoreError::WrongState { .. })), "{refused:?}");
    attempt(&*store, id, item.clone(), DeliveryState::Acknowledged).await;
    store.redeliver(id, at(900)).await.unwrap();
    assert!(sent(&*store).await.is_empty());
    assert_book_agrees(&*store, &municipal()).await;
    let row = store.delivery(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.generation, row.attempts), (DeliveryState::Owed, 2, 0));
    assert_eq!((row.next_attempt_at, row.receipt.clone(), row.unanswered), (at(900), None, false));
    assert!(row.idempotency_key().starts_with(&format!("d{id}-2-")));
    assert_eq!(store.deliveries_of_item(&municipal(), &item.key).await.unwrap().len(), 1, "it is found while owed");

    let other = reply_item(0, 2);
    attempt(&*store, id, other.clone(), DeliveryState::Acknowledged).await;
    assert_eq!(sent(&*store).await, [held(BookSide::Sent, other)]);
    let attempts = store.attempts(id).await.unwrap();
    assert_eq!(attempts.iter().map(|one| (one.generation, one.attempt)).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
    for state in [DeliveryState::Rejected, DeliveryState::Held, DeliveryState::DeadLettered] {
        store.redeliver(id, at(901)).await.unwrap();
        attempt(&*store, id, reply_item(0, 3), state).await;
    }
    store.redeliver(id, at(902)).await.unwrap();
    store.waive_delivery(id, "by li", at(903)).await.unwrap();
    let refused = store.redeliver(id, at(904)).await;
    assert!(matches!(refused, Err(StoreError::WrongState { .. })), "{refused:?}");
    let unknown = store.redeliver(DeliveryId(99), at(904)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })), "{unknown:?}");
}

/// The source's word, and what a newer delivery put there, are not ours to take away.
pub async fn redelivering_leaves_what_the_channel_said(place: &dyn StoreUnderTest) {
    let (store, id) = one(place).await;
    let item = reply_item(0, 1);
    store.begin_attempts(&[start(id, item.clone(), at(700))], None).await.unwrap();
    echo(&*store, id, &item).await;
    store.redeliver(id, at(900)).await.unwrap();
    assert_eq!(sent(&*store).await, [held(BookSide::Source, item.clone())]);

    attempt(&*store, id, item.clone(), DeliveryState::Acknowledged).await;
    let newer = owe(&*store, 0, Operation::Reply, at(1)).await;
    attempt(&*store, newer, reply_item(0, 2), DeliveryState::Acknowledged).await;
    store.redeliver(id, at(901)).await.unwrap();
    assert_eq!(sent(&*store).await, [held(BookSide::Sent, reply_item(0, 2))]);
    let found = store.deliveries_of_item(&municipal(), &item.key).await.unwrap();
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [newer, id], "the newest first");
}

/// Anything but what has arrived, is gone already, or is under way.
pub async fn waiving_ends_a_delivery(place: &dyn StoreUnderTest) {
    let (store, id) = one(place).await;
    store.begin_attempts(&[start(id, reply_item(0, 1), at(700))], None).await.unwrap();
    let refused = store.waive_delivery(id, "by li", at(701)).await;
    assert!(matches!(refused, Err(StoreError::WrongState { .. })), "{refused:?}");
    store.end_attempts(&[end(id, DeliveryState::Rejected, at(702))], None).await.unwrap();
    store.waive_delivery(id, "by li", at(703)).await.unwrap();
    let row = store.delivery(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.reason.as_deref()), (DeliveryState::Waived, Some("by li")));
    let again = store.waive_delivery(id, "by wang", at(704)).await;
    assert!(matches!(again, Err(StoreError::WrongState { .. })), "{again:?}");
    let done = owe(&*store, 0, Operation::Complete, at(1)).await;
    attempt(&*store, done, reply_item(0, 1), DeliveryState::Acknowledged).await;
    let refused = store.waive_delivery(done, "by li", at(705)).await;
    assert!(matches!(refused, Err(StoreError::WrongState { .. })), "{refused:?}");
}

/// The outbound book is a count of the rows, after every kind of step.
pub async fn outbound_tallies_follow_every_step(place: &dyn StoreUnderTest) {
    let (store, first) = one(place).await;
    let mut ids = vec![first];
    for n in 1..6 {
        ids.push(owe(&*store, 0, Operation::Reply, at(n)).await);
    }
    assert_tallied(&*store, &ids).await;
    store.begin_attempts(&[start(ids[0], reply_item(0, 1), at(700))], None).await.unwrap();
    assert_tallied(&*store, &ids).await;
    store.recover_sending(&municipal(), at(701), None).await.unwrap();
    assert_tallied(&*store, &ids).await;
    store.end_attempts(&[end(ids[0], DeliveryState::Acknowledged, at(702))], None).await.unwrap();
    assert_tallied(&*store, &ids).await;
    store.redeliver(ids[0], at(703)).await.unwrap();
    store.waive_delivery(ids[1], "by li", at(704)).await.unwrap();
    attempt(&*store, ids[2], reply_item(0, 2), DeliveryState::Rejected).await;
    attempt(&*store, ids[3], reply_item(0, 3), DeliveryState::Pending).await;
    echo(&*store, ids[3], &reply_item(0, 3)).await;
    assert_tallied(&*store, &ids).await;
}

async fn assert_tallied(store: &dyn Store, ids: &[DeliveryId]) {
    let mut counted = std::collections::BTreeMap::new();
    for id in ids {
        let row = store.delivery(*id).await.unwrap().unwrap();
        let entry: &mut (u64, u64) = counted.entry((row.dataset, row.state)).or_default();
        entry.0 += 1;
        entry.1 += u64::from(row.first_sent_at.is_some());
    }
    let tallies = store.outbound_tallies().await.unwrap();
    let kept: std::collections::BTreeMap<_, _> =
        tallies.iter().map(|one| ((one.dataset, one.state), (one.deliveries, one.sent))).collect();
    assert_eq!(kept, counted);
    assert_eq!(kept.len(), tallies.len());
}
